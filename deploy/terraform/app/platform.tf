# What the server needs on a cluster, in the order in which it needs it.

resource "kubernetes_namespace_v1" "server" {
  for_each = toset(var.namespaces)

  metadata {
    name = each.key
    labels = {
      "pod-security.kubernetes.io/enforce" = "restricted"
      "pod-security.kubernetes.io/warn"    = "restricted"
    }
  }
}

# Prometheus's node exporter reads the node itself, which only `privileged` allows.
resource "kubernetes_namespace_v1" "monitoring" {
  metadata {
    name   = local.monitoring_namespace
    labels = { "pod-security.kubernetes.io/enforce" = "privileged" }
  }
}

# EKS makes no default class. Encrypted, and bound only when a pod is placed: a volume lives in one zone.
resource "kubernetes_storage_class_v1" "gp3" {
  metadata {
    name        = "gp3"
    annotations = { "storageclass.kubernetes.io/is-default-class" = "true" }
  }

  storage_provisioner    = "ebs.csi.aws.com"
  volume_binding_mode    = "WaitForFirstConsumer"
  allow_volume_expansion = true
  reclaim_policy         = "Delete"
  parameters             = { type = "gp3", encrypted = "true" }
}

resource "helm_release" "kube_prometheus_stack" {
  name       = "kube-prometheus-stack"
  namespace  = kubernetes_namespace_v1.monitoring.metadata[0].name
  repository = "https://prometheus-community.github.io/helm-charts"
  chart      = "kube-prometheus-stack"
  version    = var.versions.kube_prometheus_stack

  values      = [yamlencode(local.monitoring_values)]
  atomic      = true
  wait        = true
  timeout     = 900
  max_history = 10

  depends_on = [kubernetes_storage_class_v1.gp3]
}

# The image of the nodes has the driver and the container toolkit, and no device plugin.
resource "helm_release" "nvidia_device_plugin" {
  count = var.gpu.enabled ? 1 : 0

  name             = "nvidia-device-plugin"
  namespace        = "nvidia-device-plugin"
  create_namespace = true
  repository       = "https://nvidia.github.io/k8s-device-plugin"
  chart            = "nvidia-device-plugin"
  version          = var.versions.nvidia_device_plugin

  values      = [yamlencode(local.device_plugin_values)]
  atomic      = true
  wait        = true
  timeout     = 300
  max_history = 10
}

resource "helm_release" "dcgm_exporter" {
  count = var.gpu.enabled && var.gpu.dcgm_exporter ? 1 : 0

  name       = "dcgm-exporter"
  namespace  = kubernetes_namespace_v1.monitoring.metadata[0].name
  repository = "https://nvidia.github.io/dcgm-exporter/helm-charts"
  chart      = "dcgm-exporter"
  version    = var.versions.dcgm_exporter

  values      = [yamlencode(local.dcgm_exporter_values)]
  atomic      = true
  wait        = true
  timeout     = 300
  max_history = 10

  # Its ServiceMonitor is a kind that this release brings.
  depends_on = [helm_release.kube_prometheus_stack]
}

resource "helm_release" "prometheus_adapter" {
  count = var.scaling == "hpa" ? 1 : 0

  name       = "prometheus-adapter"
  namespace  = kubernetes_namespace_v1.monitoring.metadata[0].name
  repository = "https://prometheus-community.github.io/helm-charts"
  chart      = "prometheus-adapter"
  version    = var.versions.prometheus_adapter

  values      = [yamlencode(local.adapter_values)]
  atomic      = true
  wait        = true
  timeout     = 300
  max_history = 10

  depends_on = [helm_release.kube_prometheus_stack]
}

resource "helm_release" "keda" {
  count = var.scaling == "keda" ? 1 : 0

  name             = "keda"
  namespace        = "keda"
  create_namespace = true
  repository       = "https://kedacore.github.io/charts"
  chart            = "keda"
  version          = var.versions.keda

  values      = [yamlencode(local.keda_values)]
  atomic      = true
  wait        = true
  timeout     = 300
  max_history = 10

  depends_on = [helm_release.kube_prometheus_stack]
}

module "cluster_autoscaler_identity" {
  source  = "terraform-aws-modules/eks-pod-identity/aws"
  version = "~> 2.8"
  count   = var.node_scaling == "cluster-autoscaler" ? 1 : 0

  name                             = "${var.cluster_name}-autoscaler"
  attach_cluster_autoscaler_policy = true
  cluster_autoscaler_cluster_names = [var.cluster_name]

  associations = {
    this = { cluster_name = var.cluster_name, namespace = "kube-system", service_account = "cluster-autoscaler" }
  }
}

# Groups of nodes have bounds and nobody who moves within them: without this the cluster stays at the desired size.
resource "helm_release" "cluster_autoscaler" {
  count = var.node_scaling == "cluster-autoscaler" ? 1 : 0

  name       = "cluster-autoscaler"
  namespace  = "kube-system"
  repository = "https://kubernetes.github.io/autoscaler"
  chart      = "cluster-autoscaler"
  version    = var.versions.cluster_autoscaler

  values      = [yamlencode(local.cluster_autoscaler_values)]
  atomic      = true
  wait        = true
  timeout     = 300
  max_history = 10

  depends_on = [module.cluster_autoscaler_identity, helm_release.kube_prometheus_stack]
}
