output "bucket" {
  description = "The bucket of the states."
  value       = aws_s3_bucket.state.id
}

output "kms_key_arn" {
  description = "The key that they are encrypted with."
  value       = aws_kms_key.state.arn
}

output "init_command" {
  description = "How the other folders begin."
  value       = "terraform init -backend-config=bucket=${var.bucket} -backend-config=region=${var.region}"
}
