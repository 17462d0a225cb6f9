# terraform init && terraform test: nothing is made, no cluster is asked. The modules are left out: what is tested is what they are given.
mock_provider "aws" {
  mock_data "aws_eks_cluster" {
    defaults = { endpoint = "https://example.com", certificate_authority = [{ data = "" }] }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
}

mock_provider "helm" {}

mock_provider "kubernetes" {}

override_module {
  target  = module.cluster_autoscaler_identity
  outputs = { iam_role_arn = "arn:aws:iam::111122223333:role/autoscaler" }
}

override_module {
  target  = module.server_identity
  outputs = { iam_role_arn = "arn:aws:iam::111122223333:role/server" }
}

override_module {
  target  = module.mlflow_identity
  outputs = { iam_role_arn = "arn:aws:iam::111122223333:role/mlflow" }
}

run "with_gitops_the_server_is_not_ours" {
  command = plan

  assert {
    condition     = length(helm_release.server) == 0
    error_message = "two would install the server"
  }

  assert {
    condition     = length(helm_release.prometheus_adapter) == 1 && length(helm_release.keda) == 0
    error_message = "not exactly the adapter serves metrics"
  }
}

run "keda_in_place_of_the_adapter" {
  command = plan

  variables {
    scaling = "keda"
  }

  assert {
    condition     = length(helm_release.prometheus_adapter) == 0 && length(helm_release.keda) == 1
    error_message = "not exactly KEDA serves metrics"
  }
}

run "the_server_comes_by_digest_and_is_rolled_back" {
  command = plan

  variables {
    delivery     = "terraform"
    chart        = { digest = "sha256:0000000000000000000000000000000000000000000000000000000000000000" }
    values_files = []
  }

  assert {
    condition     = helm_release.server[0].chart == "ml-inference-api@sha256:0000000000000000000000000000000000000000000000000000000000000000"
    error_message = "the chart is not taken by its digest"
  }

  assert {
    condition     = helm_release.server[0].atomic && helm_release.server[0].wait && helm_release.server[0].timeout == 300
    error_message = "a release that does not become ready stays"
  }
}

run "without_gpus_no_plugin" {
  command = plan

  variables {
    gpu = { enabled = false }
  }

  assert {
    condition     = length(helm_release.nvidia_device_plugin) == 0 && length(helm_release.dcgm_exporter) == 0
    error_message = "something for GPUs is installed where there are none"
  }
}

run "models_and_artifacts_have_a_role_each" {
  command = plan

  variables {
    models_bucket = "models"
    mlflow        = { bucket = "artifacts" }
  }

  assert {
    condition     = output.server_role_arn == "arn:aws:iam::111122223333:role/server"
    error_message = "the server's pods have no role"
  }

  assert {
    condition     = yamldecode(output.chart_values).networkPolicy.podIdentity
    error_message = "the network policy cuts the pods off from their credentials"
  }
}

run "refuses_a_chart_without_digest" {
  command = plan

  variables {
    delivery = "terraform"
  }

  expect_failures = [var.chart]
}
