data "aws_partition" "this" {}

locals {
  arn_s3 = "arn:${data.aws_partition.this.partition}:s3:::"
}

# The server's pods may read the models, and nothing else: the init container runs as their service account.
module "server_identity" {
  source  = "terraform-aws-modules/eks-pod-identity/aws"
  version = "~> 2.8"
  count   = var.models_bucket == null ? 0 : 1

  name                 = "${var.cluster_name}-${local.release}"
  attach_custom_policy = true

  policy_statements = concat(
    [
      {
        sid       = "ListModels"
        actions   = ["s3:ListBucket"]
        resources = ["${local.arn_s3}${coalesce(var.models_bucket, "none")}"]
      },
      {
        sid       = "ReadModels"
        actions   = ["s3:GetObject"]
        resources = ["${local.arn_s3}${coalesce(var.models_bucket, "none")}/*"]
      },
    ],
    var.models_kms_key_arn == null ? [] : [
      {
        sid       = "DecryptModels"
        actions   = ["kms:Decrypt"]
        resources = [var.models_kms_key_arn]
      },
    ],
  )

  associations = {
    for namespace in var.namespaces : namespace => {
      cluster_name    = var.cluster_name
      namespace       = namespace
      service_account = local.service_account
    }
  }
}

# MLflow's server reads and writes artifacts; it deletes none.
module "mlflow_identity" {
  source  = "terraform-aws-modules/eks-pod-identity/aws"
  version = "~> 2.8"
  count   = var.mlflow == null ? 0 : 1

  name                 = "${var.cluster_name}-mlflow"
  attach_custom_policy = true

  policy_statements = [
    {
      sid       = "ListArtifacts"
      actions   = ["s3:ListBucket"]
      resources = ["${local.arn_s3}${try(var.mlflow.bucket, "none")}"]
    },
    {
      sid       = "Artifacts"
      actions   = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"]
      resources = ["${local.arn_s3}${try(var.mlflow.bucket, "none")}/*"]
    },
  ]

  associations = {
    this = {
      cluster_name    = var.cluster_name
      namespace       = try(var.mlflow.namespace, "mlflow")
      service_account = try(var.mlflow.service_account, "mlflow")
    }
  }
}

# Our chart, where no GitOps owns it. By version and digest: the registry must have both as one, or nothing is installed.
resource "helm_release" "server" {
  count = var.delivery == "terraform" ? 1 : 0

  name       = local.release
  namespace  = kubernetes_namespace_v1.server[local.namespace].metadata[0].name
  repository = var.chart.repository
  chart      = "ml-inference-api@${coalesce(var.chart.digest, "sha256:missing")}"
  version    = var.chart.version

  values = concat(
    [for name in var.values_files : file("${path.module}/${name}")],
    [yamlencode(local.chart_values)],
  )

  # As the workflow's `helm upgrade`: what does not become ready in this time is rolled back.
  atomic          = true
  cleanup_on_fail = true
  wait            = true
  timeout         = var.deploy_seconds
  max_history     = 10

  depends_on = [
    helm_release.kube_prometheus_stack,
    helm_release.prometheus_adapter,
    helm_release.keda,
    helm_release.nvidia_device_plugin,
    module.server_identity,
  ]
}
