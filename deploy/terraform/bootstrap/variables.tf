variable "region" {
  description = "AWS region of the bucket; the backends of the other folders name the same one."
  type        = string
  default     = "ap-northeast-2"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be the name of an AWS region, such as ap-northeast-2."
  }
}

variable "bucket" {
  description = "Name of the bucket. Names of buckets are one space for all accounts: take one of your own."
  type        = string
  default     = "my-terraform-state"

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket must have 3 to 63 lower-case letters, digits and hyphens, and begin and end with a letter or a digit."
  }
}

variable "noncurrent_days" {
  description = "Days that replaced versions of a state are kept."
  type        = number
  default     = 365

  validation {
    condition     = var.noncurrent_days >= 30
    error_message = "noncurrent_days must be at least 30: a lost state is seen late, and old versions are what brings it back."
  }
}

variable "tags" {
  description = "Tags of everything that is made."
  type        = map(string)
  default     = { project = "ml-inference-api", terraform = "bootstrap" }
}
