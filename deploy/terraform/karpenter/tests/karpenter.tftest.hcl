# terraform init && terraform test: nothing is made, no cluster is asked. The module is left out.
mock_provider "aws" {
  mock_data "aws_eks_cluster" {
    defaults = { endpoint = "https://example.com", certificate_authority = [{ data = "" }] }
  }
}

mock_provider "helm" {}

override_module {
  target  = module.karpenter
  outputs = { queue_name = "queue", node_iam_role_name = "prod-cluster-karpenter-node" }
}

variables {
  ami_version = "v20260202"
}

run "nodes_are_bounded_and_tainted" {
  command = plan

  assert {
    condition     = local.node_pool.spec.limits["nvidia.com/gpu"] == "5"
    error_message = "nothing bounds the number of GPUs"
  }

  assert {
    condition     = local.node_pool.spec.template.spec.taints[0].key == "nvidia.com/gpu" && local.node_pool.spec.template.spec.taints[0].value == "true"
    error_message = "anything may run on the GPU nodes"
  }

  assert {
    condition     = local.node_class.spec.role == "prod-cluster-karpenter-node"
    error_message = "the node class names a role that the module does not make"
  }

  assert {
    condition     = strcontains(helm_release.karpenter.values[0], "\"interruptionQueue\": \"queue\"")
    error_message = "Karpenter does not hear of interruptions"
  }
}

run "refuses_images_that_move" {
  command = plan

  variables {
    ami_version = "latest"
  }

  expect_failures = [var.ami_version]
}
