# Who may do what in the cluster, by access entries: there is no aws-auth ConfigMap.
locals {
  admin_entries = {
    for name, arn in var.admins : "admin-${name}" => {
      principal_arn = arn
      policy_associations = {
        admin = {
          policy_arn   = "arn:${data.aws_partition.this.partition}:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
          access_scope = { type = "cluster", namespaces = null }
        }
      }
    }
  }

  # AmazonEKSAdminPolicy of a namespace: as edit, and Roles and their bindings too, which the chart has.
  deployer_entries = {
    for name, it in var.deployers : "deployer-${name}" => {
      principal_arn = it.role_arn
      policy_associations = {
        deploy = {
          policy_arn   = "arn:${data.aws_partition.this.partition}:eks::aws:cluster-access-policy/AmazonEKSAdminPolicy"
          access_scope = { type = "namespace", namespaces = it.namespaces }
        }
      }
    }
  }

  access_entries = merge(local.admin_entries, local.deployer_entries)
}
