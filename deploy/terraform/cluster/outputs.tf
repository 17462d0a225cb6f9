output "cluster_name" {
  description = "Name of the cluster, which ../app and ../karpenter ask for."
  value       = module.eks.cluster_name
}

output "cluster_endpoint" {
  description = "Address of the API server."
  value       = module.eks.cluster_endpoint
}

output "cluster_version" {
  description = "Kubernetes of the control plane."
  value       = module.eks.cluster_version
}

output "region" {
  description = "Region of the cluster."
  value       = var.region
}

output "vpc_id" {
  description = "The VPC."
  value       = module.vpc.vpc_id
}

output "private_subnets" {
  description = "Subnets of the nodes and pods."
  value       = module.vpc.private_subnets
}

output "node_security_group_id" {
  description = "Security group of the nodes."
  value       = module.eks.node_security_group_id
}

output "kms_key_arn" {
  description = "Key of the cluster's secrets."
  value       = module.eks.kms_key_arn
}

output "node_groups" {
  description = "Groups of nodes, as they are asked for."
  value       = local.node_groups
}

output "kubeconfig_command" {
  description = "Writes the entry of this cluster into the kubeconfig."
  value       = "aws eks update-kubeconfig --region ${var.region} --name ${var.name}"
}
