output "chart_values" {
  description = "What follows for the chart's values from what is installed here. With GitOps they belong into the environment's values.yaml."
  value       = yamlencode(local.chart_values)
}

output "namespaces" {
  description = "Namespaces of the server."
  value       = sort([for it in kubernetes_namespace_v1.server : it.metadata[0].name])
}

output "monitoring_namespace" {
  description = "Namespace of Prometheus and Grafana."
  value       = local.monitoring_namespace
}

output "server_role_arn" {
  description = "IAM role of the server's pods; null without models_bucket."
  value       = one(module.server_identity[*].iam_role_arn)
}

output "grafana_command" {
  description = "Opens Grafana on http://127.0.0.1:3000."
  value       = "kubectl -n ${local.monitoring_namespace} port-forward service/kube-prometheus-stack-grafana 3000:80"
}
