variable "region" {
  description = "AWS region of the cluster."
  type        = string
  default     = "ap-northeast-2"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be the name of an AWS region, such as ap-northeast-2."
  }
}

variable "cluster_name" {
  description = "The cluster that ../cluster made, with gpu_capacity = \"karpenter\"."
  type        = string
  default     = "prod-cluster"
}

variable "karpenter_version" {
  description = "Version of Karpenter's charts. The module of the cluster grants what 1.12 needs, so a later minor comes with a later module."
  type        = string
  default     = "1.12.0"

  validation {
    condition     = can(regex("^1\\.12\\.[0-9]+$", var.karpenter_version))
    error_message = "karpenter_version must be of 1.12, which the rights of module eks 21.19 are for and which the nodes' form is checked against."
  }
}

variable "ami_version" {
  description = "Version of the AL2023 images, such as v20260202; of GPU instances Karpenter takes the variant with NVIDIA's driver. `latest` is refused: it would replace nodes on the day that AWS makes an image."
  type        = string

  validation {
    condition     = can(regex("^v20[0-9]{6}$", var.ami_version))
    error_message = "ami_version must be a version such as v20260202, and not latest: `aws ssm get-parameters-by-path --path /aws/service/eks/optimized-ami/1.35/amazon-linux-2023/x86_64/nvidia` lists them."
  }
}

variable "instance_types" {
  description = "Instances with NVIDIA GPUs to choose from, the cheapest that fits first."
  type        = list(string)
  default     = ["g4dn.xlarge", "g4dn.2xlarge"]

  validation {
    condition     = length(var.instance_types) > 0 && alltrue([for it in var.instance_types : can(regex("^(g4dn|g5|g6|g6e|gr6|p4d|p4de|p5|p5e|p5en|p6-b200)\\.", it))])
    error_message = "instance_types must be x86 instances with NVIDIA GPUs (g4dn, g5, g6, p4d, p5 and their kin), at least one."
  }
}

variable "capacity_types" {
  description = "`on-demand`, `spot` or both. A spot node goes with two minutes' notice: enough to drain, not to load a model elsewhere first."
  type        = list(string)
  default     = ["on-demand"]

  validation {
    condition     = length(var.capacity_types) > 0 && alltrue([for it in var.capacity_types : contains(["on-demand", "spot"], it)])
    error_message = "capacity_types must be on-demand, spot or both."
  }
}

variable "max_gpus" {
  description = "Most GPUs of all nodes together: what bounds the bill, and should not exceed the account's quota."
  type        = number
  default     = 5

  validation {
    condition     = var.max_gpus >= 1 && floor(var.max_gpus) == var.max_gpus
    error_message = "max_gpus must be a whole number from 1 up."
  }
}

variable "node_lifetime" {
  description = "After which time a node is replaced, for a new image and a clean disk."
  type        = string
  default     = "720h"

  validation {
    condition     = can(regex("^[1-9][0-9]*h$", var.node_lifetime))
    error_message = "node_lifetime must be a number of hours, such as 720h."
  }
}

variable "disk_gib" {
  description = "Disk of a node in GiB."
  type        = number
  default     = 100

  validation {
    condition     = var.disk_gib >= 80
    error_message = "disk_gib must be at least 80: the image with CUDA, cuDNN and ONNX Runtime takes several GB, and two versions of it lie there during an update."
  }
}

variable "tags" {
  description = "Tags of what is made in AWS, nodes and their disks included."
  type        = map(string)
  default     = { project = "ml-inference-api", environment = "production", terraform = "karpenter" }
}
