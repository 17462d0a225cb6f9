# terraform init && terraform test: nothing is made, no account is asked. The modules are planned too.
mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  # What the module reads of the cluster that it makes.
  mock_resource "aws_eks_cluster" {
    defaults = {
      arn                   = "arn:aws:eks:ap-northeast-2:111122223333:cluster/prod-cluster"
      certificate_authority = [{ data = "" }]
      identity              = [{ oidc = [{ issuer = "https://example.com" }] }]
    }
  }

  # Else a name by chance, which is no policy.
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
}

variables {
  admins = { platform = "arn:aws:iam::111122223333:role/platform" }
}

run "groups_are_those_of_the_guide" {
  command = plan

  assert {
    condition = (
      output.node_groups.general.instance_types[0] == "m5.xlarge" && output.node_groups.general.min_size == 2 &&
      output.node_groups.general.max_size == 10 && output.node_groups.general.desired_size == 3
    )
    error_message = "the group general is not m5.xlarge, 2 to 10, 3 at first"
  }

  assert {
    condition = (
      output.node_groups.gpu.instance_types[0] == "g4dn.xlarge" && output.node_groups.gpu.min_size == 0 &&
      output.node_groups.gpu.max_size == 5 && output.node_groups.gpu.desired_size == 1
    )
    error_message = "the group gpu is not g4dn.xlarge, 0 to 5, 1 at first"
  }

  assert {
    condition     = output.node_groups.gpu.taints.gpu.key == "nvidia.com/gpu" && output.node_groups.gpu.taints.gpu.value == "true" && output.node_groups.gpu.taints.gpu.effect == "NO_SCHEDULE"
    error_message = "the GPU nodes do not have the taint nvidia.com/gpu=true:NO_SCHEDULE"
  }

  assert {
    condition     = alltrue([for it in output.node_groups : it.metadata_options.http_put_response_hop_limit == 1 && it.metadata_options.http_tokens == "required"])
    error_message = "pods of some nodes can take the node's credentials"
  }

  assert {
    condition     = alltrue([for it in output.node_groups : it.block_device_mappings.root.ebs.encrypted])
    error_message = "a disk of some nodes is not encrypted"
  }

  assert {
    condition     = output.kubeconfig_command == "aws eks update-kubeconfig --region ap-northeast-2 --name prod-cluster"
    error_message = "the command for the kubeconfig is another"
  }
}

run "karpenter_takes_the_group_away" {
  command = plan

  variables {
    gpu_capacity = "karpenter"
  }

  assert {
    condition     = keys(output.node_groups) == ["general"]
    error_message = "the group gpu is there beside Karpenter"
  }
}

run "a_pinned_release_is_not_renewed" {
  command = plan

  variables {
    gpu_ami_release = "1.35.0-20260202"
  }

  assert {
    condition     = !output.node_groups.gpu.use_latest_ami_release_version && output.node_groups.general.use_latest_ami_release_version
    error_message = "a pin is not a pin"
  }
}

run "deployers_have_their_namespaces_and_no_more" {
  command = plan

  variables {
    deployers = { workflow = { role_arn = "arn:aws:iam::111122223333:role/deploy", namespaces = ["production"] } }
  }

  assert {
    condition = (
      local.access_entries["deployer-workflow"].policy_associations.deploy.access_scope.type == "namespace" &&
      local.access_entries["deployer-workflow"].policy_associations.deploy.access_scope.namespaces == tolist(["production"])
    )
    error_message = "a deployer may do something outside of its namespaces"
  }
}

run "network_comes_before_nodes_and_enforces_policies" {
  command = plan

  assert {
    condition     = local.addons["vpc-cni"].before_compute && local.addons["eks-pod-identity-agent"].before_compute
    error_message = "nodes would wait for a network that waits for nodes"
  }

  assert {
    condition     = jsondecode(local.addons["vpc-cni"].configuration_values).enableNetworkPolicy == "true"
    error_message = "nobody enforces network policies"
  }
}

run "refuses_kubernetes_that_is_gone" {
  command = plan

  variables {
    kubernetes_version = "1.29"
  }

  expect_failures = [var.kubernetes_version]
}

run "refuses_the_whole_internet" {
  command = plan

  variables {
    public_access_cidrs = ["0.0.0.0/0"]
  }

  expect_failures = [var.public_access_cidrs]
}
