terraform {
  # The backend locks by a file in the bucket (use_lockfile), which Terraform has for good from 1.11 on and OpenTofu from 1.10.
  required_version = ">= 1.11.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.28"
    }
  }

  # The bucket is that of ../bootstrap; another name goes in by `terraform init -backend-config=bucket=NAME`.
  backend "s3" {
    bucket       = "my-terraform-state"
    key          = "prod/eks/terraform.tfstate"
    region       = "ap-northeast-2"
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = var.tags
  }
}
