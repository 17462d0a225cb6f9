# terraform init && terraform test: nothing is made, no account is asked.
mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
}

run "nobody_reads_states_from_outside" {
  command = plan

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.state.block_public_acls,
      aws_s3_bucket_public_access_block.state.block_public_policy,
      aws_s3_bucket_public_access_block.state.ignore_public_acls,
      aws_s3_bucket_public_access_block.state.restrict_public_buckets,
    ])
    error_message = "public access is not blocked in all four ways"
  }

  assert {
    condition     = aws_s3_bucket_versioning.state.versioning_configuration[0].status == "Enabled"
    error_message = "old states are not kept"
  }

  assert {
    condition     = aws_kms_key.state.enable_key_rotation
    error_message = "the key is never rotated"
  }
}

run "refuses_a_name_that_no_bucket_can_have" {
  command = plan

  variables {
    bucket = "My_State"
  }

  expect_failures = [var.bucket]
}
