variable "region" {
  description = "AWS region of the cluster."
  type        = string
  default     = "ap-northeast-2"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be the name of an AWS region, such as ap-northeast-2."
  }
}

variable "name" {
  description = "Name of the cluster, and prefix of what belongs to it."
  type        = string
  default     = "prod-cluster"

  validation {
    condition     = can(regex("^[a-zA-Z][a-zA-Z0-9-]{0,39}$", var.name))
    error_message = "name must begin with a letter and have at most 40 letters, digits and hyphens: names of roles are made of it."
  }
}

variable "kubernetes_version" {
  description = "Kubernetes of the control plane and, after it, of the nodes. One minor version at a time."
  type        = string
  default     = "1.35"

  validation {
    condition     = contains(["1.35", "1.36"], var.kubernetes_version)
    error_message = "kubernetes_version must be 1.35 or 1.36: EKS has these in standard support, and the chart is checked with them. Older ones cost more, and 1.29 and 1.30 are gone."
  }
}

variable "vpc_cidr" {
  description = "Addresses of the VPC. Each pod takes an address of the private subnets, which are 1/16 of it each."
  type        = string
  default     = "10.0.0.0/16"

  validation {
    condition     = can(cidrhost(var.vpc_cidr, 0)) && try(tonumber(split("/", var.vpc_cidr)[1]), 0) >= 16 && try(tonumber(split("/", var.vpc_cidr)[1]), 99) <= 18
    error_message = "vpc_cidr must be an IPv4 block from /16 to /18: AWS takes none that is larger, and in smaller ones pods run out of addresses."
  }
}

variable "availability_zones" {
  description = "Three zones, by name: asked of AWS they would change when it adds one, and subnets with them. Not every zone has every GPU instance: see the README."
  type        = list(string)
  default     = ["ap-northeast-2a", "ap-northeast-2b", "ap-northeast-2c"]

  validation {
    condition     = length(distinct(var.availability_zones)) == 3 && alltrue([for it in var.availability_zones : can(regex("^${var.region}[a-z]$", it))])
    error_message = "availability_zones must be three different zones of the region, such as ap-northeast-2a."
  }
}

variable "single_nat_gateway" {
  description = "One NAT gateway for all zones in place of one in each: cheaper, and its zone's failure cuts all nodes off."
  type        = bool
  default     = false
}

variable "public_access_cidrs" {
  description = "Who may reach the API server from outside the VPC, as IPv4 blocks; empty: nobody, and Terraform's app/ must then run within reach of the VPC."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for it in var.public_access_cidrs : can(cidrhost(it, 0)) && try(tonumber(split("/", it)[1]), 0) >= 8])
    error_message = "public_access_cidrs must be IPv4 blocks of /8 or smaller, such as 203.0.113.0/24, and never 0.0.0.0/0: the API server is not for the whole internet."
  }
}

variable "creator_is_admin" {
  description = "Makes whoever runs Terraform an administrator of the cluster. Better name roles in `admins`, which does not change with the person."
  type        = bool
  default     = false
}

variable "admins" {
  description = "Administrators of the cluster: name to ARN of an IAM role (or user)."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for arn in values(var.admins) : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/.+$", arn))])
    error_message = "admins must be ARNs of IAM roles or users, such as arn:aws:iam::111122223333:role/platform."
  }

  validation {
    condition     = length(var.admins) > 0 || var.creator_is_admin
    error_message = "admins is empty and creator_is_admin is false: nobody could administer the cluster. Name at least one role."
  }
}

variable "deployers" {
  description = "Who may change what is in some namespaces and nothing else, such as the workflow that deploys: name to the ARN of an IAM role and the namespaces."
  type = map(object({
    role_arn   = string
    namespaces = list(string)
  }))
  default = {}

  validation {
    condition     = alltrue([for it in values(var.deployers) : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$", it.role_arn)) && length(it.namespaces) > 0])
    error_message = "deployers must have ARNs of IAM roles and at least one namespace each."
  }

  validation {
    condition     = alltrue([for it in values(var.deployers) : !contains(it.namespaces, "kube-system")])
    error_message = "deployers must not change kube-system: whoever can is an administrator, so say it in admins."
  }
}

variable "general_nodes" {
  description = "The group of nodes for everything but GPUs: type of instance, fewest, most and first number, disk in GiB."
  type = object({
    instance_types = optional(list(string), ["m5.xlarge"])
    min_size       = optional(number, 2)
    max_size       = optional(number, 10)
    desired_size   = optional(number, 3)
    disk_gib       = optional(number, 50)
  })
  default = {}

  validation {
    condition     = var.general_nodes.min_size >= 2 && var.general_nodes.min_size <= var.general_nodes.desired_size && var.general_nodes.desired_size <= var.general_nodes.max_size
    error_message = "general_nodes must have 2 <= min_size <= desired_size <= max_size: with one node a drain stops the cluster's DNS."
  }

  validation {
    condition     = var.general_nodes.disk_gib >= 30
    error_message = "general_nodes.disk_gib must be at least 30: images and logs fill a smaller disk."
  }
}

variable "gpu_nodes" {
  description = "The group of nodes with GPUs. Of no use with Karpenter, which makes such nodes itself: then set gpu_capacity."
  type = object({
    instance_types = optional(list(string), ["g4dn.xlarge"])
    min_size       = optional(number, 0)
    max_size       = optional(number, 5)
    desired_size   = optional(number, 1)
    disk_gib       = optional(number, 100)
  })
  default = {}

  validation {
    condition     = var.gpu_nodes.min_size >= 0 && var.gpu_nodes.min_size <= var.gpu_nodes.desired_size && var.gpu_nodes.desired_size <= var.gpu_nodes.max_size
    error_message = "gpu_nodes must have 0 <= min_size <= desired_size <= max_size."
  }

  validation {
    condition     = alltrue([for it in var.gpu_nodes.instance_types : can(regex("^(g4dn|g5|g6|g6e|gr6|p4d|p4de|p5|p5e|p5en|p6-b200)\\.", it))])
    error_message = "gpu_nodes.instance_types must be x86 instances with NVIDIA GPUs (g4dn, g5, g6, p4d, p5 and their kin): the image of these nodes is for them only."
  }

  validation {
    condition     = var.gpu_nodes.disk_gib >= 80
    error_message = "gpu_nodes.disk_gib must be at least 80: the image with CUDA, cuDNN and ONNX Runtime takes several GB, and two versions of it lie there during an update."
  }
}

variable "gpu_capacity" {
  description = "Who makes nodes with GPUs: `managed` (the group gpu_nodes), `karpenter` (../karpenter) or `none`."
  type        = string
  default     = "managed"

  validation {
    condition     = contains(["managed", "karpenter", "none"], var.gpu_capacity)
    error_message = "gpu_capacity must be managed, karpenter or none."
  }
}

variable "general_ami_release" {
  description = "Release of the general nodes' image, such as 1.35.0-20260202; null: the newest at each apply."
  type        = string
  default     = null

  validation {
    condition     = var.general_ami_release == null || startswith(coalesce(var.general_ami_release, "-"), "${var.kubernetes_version}.")
    error_message = "general_ami_release must be a release of the cluster's kubernetes_version, such as 1.35.0-20260202."
  }
}

variable "gpu_ami_release" {
  description = "Release of the GPU nodes' image, which sets the NVIDIA driver; null: the newest at each apply."
  type        = string
  default     = null

  validation {
    condition     = var.gpu_ami_release == null || startswith(coalesce(var.gpu_ami_release, "-"), "${var.kubernetes_version}.")
    error_message = "gpu_ami_release must be a release of the cluster's kubernetes_version, such as 1.35.0-20260202."
  }
}

variable "addon_versions" {
  description = "Versions of add-ons by name, such as { vpc-cni = \"v1.20.0-eksbuild.1\" }; one that is not here is AWS's default for this Kubernetes. Pin them in production."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for version in values(var.addon_versions) : can(regex("^v[0-9]+\\.[0-9]+\\.[0-9]+-eksbuild\\.[0-9]+$", version))])
    error_message = "addon_versions must look like v1.20.0-eksbuild.1, as `aws eks describe-addon-versions` lists them."
  }

  validation {
    condition = alltrue([for name in keys(var.addon_versions) : contains([
      "vpc-cni", "eks-pod-identity-agent", "coredns", "kube-proxy", "aws-ebs-csi-driver", "metrics-server", "eks-node-monitoring-agent",
    ], name)])
    error_message = "addon_versions names an add-on that is not installed: those are vpc-cni, eks-pod-identity-agent, coredns, kube-proxy, aws-ebs-csi-driver, metrics-server and eks-node-monitoring-agent."
  }
}

variable "log_types" {
  description = "Logs of the control plane that go to CloudWatch."
  type        = list(string)
  default     = ["api", "audit", "authenticator", "controllerManager", "scheduler"]

  validation {
    condition     = alltrue([for it in var.log_types : contains(["api", "audit", "authenticator", "controllerManager", "scheduler"], it)]) && contains(var.log_types, "audit")
    error_message = "log_types must be of api, audit, authenticator, controllerManager and scheduler, with audit among them: it says who did what."
  }
}

variable "log_days" {
  description = "Days that logs of the control plane and of the network's flows are kept."
  type        = number
  default     = 90

  validation {
    condition     = contains([30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827], var.log_days)
    error_message = "log_days must be one of the spans that CloudWatch knows, from 30 up: 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096 or 1827."
  }
}

variable "flow_logs" {
  description = "Keeps a log of the VPC's rejected connections."
  type        = bool
  default     = true
}

variable "kms_key_administrators" {
  description = "ARNs of who administers the key of the cluster's secrets; empty: whoever runs Terraform."
  type        = list(string)
  default     = []
}

variable "deletion_protection" {
  description = "Refuses to delete the cluster until this is applied as false."
  type        = bool
  default     = true
}

variable "tags" {
  description = "Tags of everything that is made."
  type        = map(string)
  default     = { project = "ml-inference-api", environment = "production", terraform = "cluster" }
}
