output "node_objects" {
  description = "The node class and the node pool, for those who apply them by hand."
  value       = join("---\n", [for it in local.node_objects : yamlencode(it)])
}

output "node_role" {
  description = "IAM role of the nodes."
  value       = module.karpenter.node_iam_role_name
}

output "queue_name" {
  description = "Queue of interruptions."
  value       = module.karpenter.queue_name
}
