data "aws_partition" "this" {}

# Pods and nodes in private subnets, load balancers in public ones, the control plane's interfaces in subnets with no way out.
module "vpc" {
  source  = "terraform-aws-modules/vpc/aws"
  version = "~> 6.6"

  name = var.name
  cidr = var.vpc_cidr
  azs  = var.availability_zones

  private_subnets = [for number in range(3) : cidrsubnet(var.vpc_cidr, 4, number)]
  public_subnets  = [for number in range(3) : cidrsubnet(var.vpc_cidr, 8, number + 48)]
  intra_subnets   = [for number in range(3) : cidrsubnet(var.vpc_cidr, 8, number + 52)]

  enable_nat_gateway     = true
  single_nat_gateway     = var.single_nat_gateway
  one_nat_gateway_per_az = !var.single_nat_gateway

  public_subnet_tags  = { "kubernetes.io/role/elb" = "1" }
  private_subnet_tags = merge(local.discovery, { "kubernetes.io/role/internal-elb" = "1" })

  enable_flow_log                                 = var.flow_logs
  create_flow_log_cloudwatch_log_group            = var.flow_logs
  create_flow_log_cloudwatch_iam_role             = var.flow_logs
  flow_log_traffic_type                           = "REJECT"
  flow_log_cloudwatch_log_group_retention_in_days = var.log_days
}

module "eks" {
  source  = "terraform-aws-modules/eks/aws"
  version = "~> 21.19"

  name               = var.name
  kubernetes_version = var.kubernetes_version

  # The default, EXTENDED, goes on at a higher price when standard support ends; this upgrades instead.
  upgrade_policy      = { support_type = "STANDARD" }
  deletion_protection = var.deletion_protection

  vpc_id                   = module.vpc.vpc_id
  subnet_ids               = module.vpc.private_subnets
  control_plane_subnet_ids = module.vpc.intra_subnets

  endpoint_private_access      = true
  endpoint_public_access       = length(var.public_access_cidrs) > 0
  endpoint_public_access_cidrs = length(var.public_access_cidrs) > 0 ? var.public_access_cidrs : null

  authentication_mode                      = "API"
  enable_cluster_creator_admin_permissions = var.creator_is_admin
  access_entries                           = local.access_entries

  # Secrets are encrypted with a key of this cluster's own before they reach etcd's disk.
  create_kms_key          = true
  enable_kms_key_rotation = true
  kms_key_administrators  = var.kms_key_administrators
  encryption_config       = { resources = ["secrets"] }

  enabled_log_types                      = var.log_types
  cloudwatch_log_group_retention_in_days = var.log_days

  addons = {
    for name, addon in local.addons : name => merge(addon, {
      pod_identity_association = name != "aws-ebs-csi-driver" ? null : [{
        role_arn        = module.ebs_csi_identity.iam_role_arn
        service_account = "ebs-csi-controller-sa"
      }]
    })
  }

  eks_managed_node_groups  = local.node_groups
  node_security_group_tags = local.discovery
}

# The driver of volumes may make and attach EBS volumes, by pod identity: with a hop limit of 1 it cannot use the node's role.
module "ebs_csi_identity" {
  source  = "terraform-aws-modules/eks-pod-identity/aws"
  version = "~> 2.8"

  name                      = "${var.name}-ebs-csi"
  attach_aws_ebs_csi_policy = true
}
