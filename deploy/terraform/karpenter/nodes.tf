# The nodes that Karpenter may make. Of variables only, so that the checks can compute them and hold them against Karpenter's own
# definitions and against the chart.
locals {
  # A fixed name: the node class names the role, and Karpenter may pass no other on.
  node_role = "${var.cluster_name}-karpenter-node"
  discovery = { "karpenter.sh/discovery" = var.cluster_name }

  node_class = {
    apiVersion = "karpenter.k8s.aws/v1"
    kind       = "EC2NodeClass"
    metadata   = { name = "gpu" }
    spec = {
      amiSelectorTerms           = [{ alias = "al2023@${var.ami_version}" }]
      role                       = local.node_role
      subnetSelectorTerms        = [{ tags = local.discovery }]
      securityGroupSelectorTerms = [{ tags = local.discovery }]
      # As in ../cluster/nodes.tf: pods cannot take the node's credentials.
      metadataOptions = {
        httpEndpoint            = "enabled"
        httpTokens              = "required"
        httpPutResponseHopLimit = 1
      }
      blockDeviceMappings = [{
        deviceName = "/dev/xvda"
        ebs = {
          volumeType          = "gp3"
          volumeSize          = "${var.disk_gib}Gi"
          encrypted           = true
          deleteOnTermination = true
        }
      }]
      tags = var.tags
    }
  }

  node_pool = {
    apiVersion = "karpenter.sh/v1"
    kind       = "NodePool"
    metadata   = { name = "gpu" }
    spec = {
      template = {
        metadata = { labels = { "nvidia.com/gpu.present" = "true" } }
        spec = {
          nodeClassRef = { group = "karpenter.k8s.aws", kind = "EC2NodeClass", name = "gpu" }
          taints       = [{ key = "nvidia.com/gpu", value = "true", effect = "NoSchedule" }]
          requirements = [
            { key = "kubernetes.io/arch", operator = "In", values = ["amd64"] },
            { key = "kubernetes.io/os", operator = "In", values = ["linux"] },
            { key = "karpenter.sh/capacity-type", operator = "In", values = var.capacity_types },
            { key = "node.kubernetes.io/instance-type", operator = "In", values = var.instance_types },
          ]
          expireAfter = var.node_lifetime
          # Longer than the server's own end (47 s) and than a model that loads elsewhere first.
          terminationGracePeriod = "1h"
        }
      }
      limits = { "nvidia.com/gpu" = tostring(var.max_gpus) }
      disruption = {
        # A node goes when nothing is left on it. To move a pod with a model to save a part of a node costs more than it saves.
        consolidationPolicy = "WhenEmpty"
        consolidateAfter    = "5m"
        # One node at a time, for new images and for age too.
        budgets = [{ nodes = "1" }]
      }
    }
  }

  node_objects = [local.node_class, local.node_pool]
}
