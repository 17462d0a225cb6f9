# Values of every chart. Of variables and files only, so that the checks can compute them without AWS, render our chart with them and
# hold them against it.
locals {
  release   = "ml-inference-api"
  namespace = "production"
  # The service account that the chart makes has the release's name.
  service_account = local.release

  # The chart's NetworkPolicy lets in scrapes from the namespace of this name (networkPolicy.monitoringNamespace).
  monitoring_namespace = "monitoring"
  # Prometheus takes monitors and rules that carry this label: the release of its own chart.
  monitor_labels = { release = "kube-prometheus-stack" }

  # The taint of the GPU nodes, as ../cluster sets it.
  gpu_toleration = { key = "nvidia.com/gpu", operator = "Equal", value = "true", effect = "NoSchedule" }
  gpu_nodes      = { "nvidia.com/gpu.present" = "true" }

  device_plugin_values = merge(
    {
      tolerations = [local.gpu_toleration]
    },
    # With renameByDefault a share is nvidia.com/gpu.shared, which the chart asks for with gpu.timeSlicing: nobody takes a share for a GPU.
    var.gpu.shared_by == 1 ? {} : {
      config = {
        default = "shared"
        map = {
          shared = yamlencode({
            version = "v1"
            sharing = {
              timeSlicing = {
                renameByDefault = true
                resources       = [{ name = "nvidia.com/gpu", replicas = var.gpu.shared_by }]
              }
            }
          })
        }
      }
    },
  )

  dcgm_exporter_values = {
    tolerations    = [local.gpu_toleration]
    nodeSelector   = local.gpu_nodes
    serviceMonitor = { enabled = true, additionalLabels = local.monitor_labels }
  }

  monitoring_values = {
    prometheus = {
      prometheusSpec = {
        retention = "${var.monitoring.retention_days}d"
        # Bounds what the volume holds a tenth below its size: a full one stops Prometheus.
        retentionSize = "${floor(var.monitoring.volume_gib * 0.9)}GiB"
        resources     = { requests = { cpu = "500m", memory = "2Gi" }, limits = { memory = "4Gi" } }
        storageSpec = {
          volumeClaimTemplate = {
            spec = {
              storageClassName = "gp3"
              accessModes      = ["ReadWriteOnce"]
              resources        = { requests = { storage = "${var.monitoring.volume_gib}Gi" } }
            }
          }
        }
      }
    }
    grafana = {
      sidecar = { dashboards = { label = "grafana_dashboard", labelValue = "1", searchNamespace = "ALL" } }
    }
    # EKS lets nobody scrape these: alerts that they are down would never end.
    kubeEtcd              = { enabled = false }
    kubeControllerManager = { enabled = false }
    kubeScheduler         = { enabled = false }
    kubeProxy             = { enabled = false }
  }

  # The rules of the chart's autoscaler, from the one file that the tests of the rules use too.
  adapter_values = merge(
    yamldecode(file("${path.module}/../../observability/prometheus-adapter.yaml")),
    { replicas = 2, podDisruptionBudget = { enabled = true } },
  )

  keda_values = {
    operator      = { replicaCount = 2 }
    metricsServer = { replicaCount = 2 }
    prometheus = {
      operator = {
        enabled        = true
        serviceMonitor = { enabled = true, additionalLabels = local.monitor_labels }
      }
    }
  }

  cluster_autoscaler_values = {
    cloudProvider = "aws"
    awsRegion     = var.region
    autoDiscovery = { clusterName = var.cluster_name }
    image         = { tag = var.kubernetes_version == "1.36" ? "v1.36.1" : "v1.35.2" }
    rbac          = { serviceAccount = { create = true, name = "cluster-autoscaler" } }
    replicaCount  = 2
    extraArgs = {
      balance-similar-node-groups = true
      # A GPU node is empty of the server's pods long before it is empty of DaemonSets.
      ignore-daemonsets-utilization = true
      expander                      = "least-waste"
    }
    serviceMonitor = { enabled = true, namespace = local.monitoring_namespace, selector = local.monitor_labels }
  }

  # What follows from this folder and not from the environment: laid over values_files with delivery = "terraform"; with GitOps these must
  # stand in the environment's values.yaml, and the output `chart_values` shows them.
  chart_values = merge(
    {
      autoscaling = { mode = var.scaling }
      metrics = {
        monitor    = { enabled = true, labels = local.monitor_labels }
        rules      = { enabled = true, labels = local.monitor_labels }
        dashboards = { enabled = true }
      }
      prometheus = { address = "http://prometheus-operated.${local.monitoring_namespace}.svc:9090" }
    },
    var.models_bucket == null ? {} : {
      networkPolicy = { podIdentity = true, objectStore = { enabled = true } }
    },
    var.image_digest == null ? {} : {
      image = { digest = var.image_digest }
    },
    var.gpu.enabled && var.gpu.shared_by > 1 ? {
      gpu = { timeSlicing = true }
    } : {},
  )
}
