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
  description = "The cluster that ../cluster made."
  type        = string
  default     = "prod-cluster"
}

variable "delivery" {
  description = "Who installs the chart: `gitops` (Argo CD or Flux, deploy/gitops) or `terraform`. One of them, never both: each would undo what the other does."
  type        = string
  default     = "gitops"

  validation {
    condition     = contains(["gitops", "terraform"], var.delivery)
    error_message = "delivery must be gitops or terraform."
  }
}

variable "scaling" {
  description = "What the chart's autoscaler asks: `hpa` (installs Prometheus Adapter with our rules) or `keda` (installs KEDA). The chart's autoscaling.mode must be the same."
  type        = string
  default     = "hpa"

  validation {
    condition     = contains(["hpa", "keda"], var.scaling)
    error_message = "scaling must be hpa or keda: each brings an adapter for the API of metrics, and a cluster has one."
  }
}

variable "node_scaling" {
  description = "Who changes the number of nodes: `cluster-autoscaler` (within the groups' bounds), `karpenter` (../karpenter, for GPUs; this installs nothing) or `none`."
  type        = string
  default     = "cluster-autoscaler"

  validation {
    condition     = contains(["cluster-autoscaler", "karpenter", "none"], var.node_scaling)
    error_message = "node_scaling must be cluster-autoscaler, karpenter or none."
  }
}

variable "kubernetes_version" {
  description = "Kubernetes of the cluster, for the Cluster Autoscaler of the same version."
  type        = string
  default     = "1.35"

  validation {
    condition     = contains(["1.35", "1.36"], var.kubernetes_version)
    error_message = "kubernetes_version must be 1.35 or 1.36, as in ../cluster."
  }
}

variable "gpu" {
  description = "GPUs: whether the cluster has any, and by how many pods each is shared in time (1: by none; the chart's gpu.timeSlicing must say the same)."
  type = object({
    enabled       = optional(bool, true)
    shared_by     = optional(number, 1)
    dcgm_exporter = optional(bool, true)
  })
  default = {}

  validation {
    condition     = var.gpu.shared_by >= 1 && var.gpu.shared_by <= 16 && floor(var.gpu.shared_by) == var.gpu.shared_by
    error_message = "gpu.shared_by must be a whole number from 1 to 16: shares of a GPU have no bounds of memory, so more of them starve each other."
  }
}

variable "namespaces" {
  description = "Namespaces for the server, each held to the pod security standard `restricted`."
  type        = list(string)
  default     = ["production", "staging"]

  validation {
    condition     = contains(var.namespaces, "production") && alltrue([for it in var.namespaces : can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", it))])
    error_message = "namespaces must be names of Kubernetes in lower case, production among them."
  }
}

variable "image_digest" {
  description = "Digest of the server's image, with delivery = \"terraform\"; null: what values_files say."
  type        = string
  default     = null

  validation {
    condition     = var.image_digest == null || can(regex("^sha256:[0-9a-f]{64}$", var.image_digest))
    error_message = "image_digest must be sha256: and 64 hexadecimal digits, as the workflow of the release prints it."
  }
}

variable "chart" {
  description = "Our chart in its registry: where, version, and the digest that the version must have."
  type = object({
    repository = optional(string, "oci://ghcr.io/myorg/charts")
    version    = optional(string, "0.1.0")
    digest     = optional(string)
  })
  default = {}

  validation {
    condition     = startswith(var.chart.repository, "oci://") && can(regex("^[0-9]+\\.[0-9]+\\.[0-9]+(-[0-9A-Za-z.-]+)?$", var.chart.version))
    error_message = "chart.repository must begin with oci:// and chart.version be one version, such as 0.1.0, and no range."
  }

  validation {
    condition     = var.chart.digest == null || can(regex("^sha256:[0-9a-f]{64}$", var.chart.digest))
    error_message = "chart.digest must be sha256: and 64 hexadecimal digits."
  }

  validation {
    condition     = var.delivery != "terraform" || var.chart.digest != null
    error_message = "chart.digest is missing: with delivery = \"terraform\" the chart is installed by digest, for a tag can be moved. `helm pull` prints it."
  }
}

variable "values_files" {
  description = "Values of the chart, in this order, relative to this folder: the same files that Argo CD, Flux and the workflow read."
  type        = list(string)
  default = [
    "../../gitops/environments/production/values.yaml",
    "../../gitops/environments/production/image.yaml",
    "../../gitops/environments/production/model.yaml",
  ]
}

variable "deploy_seconds" {
  description = "Seconds that a release of the server may take to be ready, with delivery = \"terraform\". On GPUs more than the chart's gpu.startupSeconds and the pull of the image."
  type        = number
  default     = 300

  validation {
    condition     = var.deploy_seconds >= 120 && var.deploy_seconds <= 3600
    error_message = "deploy_seconds must be from 120 to 3600: a release that is not ready in an hour is not slow, it is stuck."
  }
}

variable "models_bucket" {
  description = "S3 bucket that the init container fetches models from (chart: models.source = init); null: none, and no right to any."
  type        = string
  default     = null

  validation {
    condition     = var.models_bucket == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.models_bucket))
    error_message = "models_bucket must be the name of a bucket, without s3://."
  }
}

variable "models_kms_key_arn" {
  description = "Key that the models are encrypted with; null: the bucket's own."
  type        = string
  default     = null

  validation {
    condition     = var.models_kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:", var.models_kms_key_arn))
    error_message = "models_kms_key_arn must be the ARN of a KMS key."
  }
}

variable "mlflow" {
  description = "An MLflow server in this cluster that keeps artifacts in S3: bucket, and its namespace and service account; null: none."
  type = object({
    bucket          = string
    namespace       = optional(string, "mlflow")
    service_account = optional(string, "mlflow")
  })
  default = null
}

variable "monitoring" {
  description = "Of Prometheus: days that series are kept, and the volume for them in GiB. Grafana's password is in the Secret kube-prometheus-stack-grafana, made at random."
  type = object({
    retention_days = optional(number, 15)
    volume_gib     = optional(number, 50)
  })
  default = {}

  validation {
    condition     = var.monitoring.retention_days >= 7 && var.monitoring.volume_gib >= 20
    error_message = "monitoring must keep at least 7 days in at least 20 GiB: the objectives' burn rates look back 3 days, and a week is what people ask for."
  }
}

variable "versions" {
  description = "Versions of the charts of others. A new one is a change to be reviewed, so none is a range."
  type = object({
    nvidia_device_plugin  = optional(string, "0.20.0")
    dcgm_exporter         = optional(string, "4.8.2")
    kube_prometheus_stack = optional(string, "88.5.3")
    prometheus_adapter    = optional(string, "5.3.0")
    keda                  = optional(string, "2.20.2")
    cluster_autoscaler    = optional(string, "9.59.0")
  })
  default = {}

  validation {
    condition     = alltrue([for it in values(var.versions) : can(regex("^[0-9]+\\.[0-9]+\\.[0-9]+$", it))])
    error_message = "versions must be whole versions, such as 88.5.3, and no ranges."
  }
}

variable "tags" {
  description = "Tags of what is made in AWS."
  type        = map(string)
  default     = { project = "ml-inference-api", environment = "production", terraform = "app" }
}
