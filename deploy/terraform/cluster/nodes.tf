# What the groups of nodes are. Of variables only, so that the checks can compute it without AWS and hold it against the chart.
locals {
  # As in the brief, in the chart's toleration (gpu.tolerations) and in ../karpenter.
  gpu_taint = { key = "nvidia.com/gpu", value = "true", effect = "NO_SCHEDULE" }
  # By it the chart (gpu.nodeSelector) and NVIDIA's device plugin find the nodes.
  gpu_labels = { "nvidia.com/gpu.present" = "true" }

  # By it Karpenter finds the subnets and the security group for its nodes (../karpenter/nodes.tf).
  discovery = { "karpenter.sh/discovery" = var.name }

  # Of every group. A pod is one hop further from the metadata service than its node: with 1 it cannot take the node's credentials.
  metadata_options = {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  general_group = {
    ami_type                       = "AL2023_x86_64_STANDARD"
    instance_types                 = var.general_nodes.instance_types
    min_size                       = var.general_nodes.min_size
    max_size                       = var.general_nodes.max_size
    desired_size                   = var.general_nodes.desired_size
    ami_release_version            = var.general_ami_release
    use_latest_ami_release_version = var.general_ami_release == null
    labels                         = {}
    taints                         = {}
    metadata_options               = local.metadata_options
    block_device_mappings          = local.disks["general"]
    update_config                  = { max_unavailable_percentage = 33 }
    node_repair_config             = { enabled = true }
  }

  gpu_group = {
    ami_type                       = "AL2023_x86_64_NVIDIA"
    instance_types                 = var.gpu_nodes.instance_types
    min_size                       = var.gpu_nodes.min_size
    max_size                       = var.gpu_nodes.max_size
    desired_size                   = var.gpu_nodes.desired_size
    ami_release_version            = var.gpu_ami_release
    use_latest_ami_release_version = var.gpu_ami_release == null
    labels                         = local.gpu_labels
    taints                         = { gpu = local.gpu_taint }
    metadata_options               = local.metadata_options
    block_device_mappings          = local.disks["gpu"]
    # One at a time: the server's pods on it must find another GPU first.
    update_config = { max_unavailable = 1 }
    # A GPU that reports errors is seen by eks-node-monitoring-agent, and its node is replaced.
    node_repair_config = { enabled = true }
  }

  node_groups = merge(
    { general = local.general_group },
    { for name, group in { gpu = local.gpu_group } : name => group if var.gpu_capacity == "managed" },
  )

  disks = {
    for name, size in { general = var.general_nodes.disk_gib, gpu = var.gpu_nodes.disk_gib } : name => {
      root = {
        device_name = "/dev/xvda"
        ebs = {
          volume_type           = "gp3"
          volume_size           = size
          encrypted             = true
          delete_on_termination = true
        }
      }
    }
  }
}
