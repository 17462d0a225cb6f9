# What runs on every cluster of EKS. Of variables only, as nodes.tf.
locals {
  # Nodes are Ready only with a network, and pods of the very first minute may need credentials: these come before the nodes.
  early_addons = ["vpc-cni", "eks-pod-identity-agent"]

  addon_settings = {
    # Without enableNetworkPolicy the chart's NetworkPolicy is an object that nobody enforces.
    vpc-cni                   = jsonencode({ enableNetworkPolicy = "true" })
    eks-pod-identity-agent    = null
    coredns                   = null
    kube-proxy                = null
    aws-ebs-csi-driver        = null
    metrics-server            = null
    eks-node-monitoring-agent = null
  }

  addons = {
    for name, settings in local.addon_settings : name => {
      before_compute       = contains(local.early_addons, name)
      addon_version        = lookup(var.addon_versions, name, null)
      most_recent          = false
      configuration_values = settings
    }
  }
}
