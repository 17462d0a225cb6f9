# Roles for the controller (by pod identity) and for the nodes (by an access entry), and the queue by which AWS tells of
# interruptions.
module "karpenter" {
  source  = "terraform-aws-modules/eks/aws//modules/karpenter"
  version = "~> 21.19"

  cluster_name    = var.cluster_name
  namespace       = "kube-system"
  service_account = "karpenter"

  node_iam_role_name            = local.node_role
  node_iam_role_use_name_prefix = false
}

# The definitions are a chart of their own: Helm never renews those inside a chart.
resource "helm_release" "definitions" {
  name       = "karpenter-crd"
  namespace  = "kube-system"
  repository = "oci://public.ecr.aws/karpenter"
  chart      = "karpenter-crd"
  version    = var.karpenter_version

  atomic      = true
  wait        = true
  timeout     = 300
  max_history = 10
}

# It runs on the group `general`: by its own affinity never on a node that it made itself.
resource "helm_release" "karpenter" {
  name       = "karpenter"
  namespace  = "kube-system"
  repository = "oci://public.ecr.aws/karpenter"
  chart      = "karpenter"
  version    = var.karpenter_version
  skip_crds  = true

  values = [yamlencode({
    settings = {
      clusterName       = var.cluster_name
      clusterEndpoint   = data.aws_eks_cluster.this.endpoint
      interruptionQueue = module.karpenter.queue_name
    }
    controller = {
      resources = { requests = { cpu = "500m", memory = "1Gi" }, limits = { memory = "1Gi" } }
    }
  })]

  atomic      = true
  wait        = true
  timeout     = 600
  max_history = 10

  depends_on = [helm_release.definitions]
}

# By Helm and not by kubernetes_manifest, which must find the definitions on the cluster before it can plan.
resource "helm_release" "nodes" {
  name      = "gpu-nodes"
  namespace = "kube-system"
  chart     = "${path.module}/objects"

  values      = [yamlencode({ objects = local.node_objects })]
  atomic      = true
  wait        = true
  timeout     = 300
  max_history = 10

  depends_on = [helm_release.karpenter]
}
