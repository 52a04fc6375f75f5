# What `moraine check` asks of a bucket before anything is stored in it.

resource "aws_s3_bucket" "owner" {
  for_each = local.buckets

  bucket              = each.value
  object_lock_enabled = var.object_lock

  tags = {
    "moraine-installation" = var.installation
    "moraine-owner"        = replace(each.key, "/[^A-Za-z0-9-]/", "_")
  }

  lifecycle {
    prevent_destroy = true
    # Moraine compares its own tags and writes them where they are missing.
    ignore_changes = [tags]
  }
}

resource "aws_s3_bucket_versioning" "owner" {
  for_each = aws_s3_bucket.owner

  bucket = each.value.id

  versioning_configuration {
    status = "Enabled"
  }
}

# No default retention: Moraine locks each archive until its own purge date.

resource "aws_s3_bucket_public_access_block" "owner" {
  for_each = aws_s3_bucket.owner

  bucket                  = each.value.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "owner" {
  for_each = aws_s3_bucket.owner

  bucket = each.value.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "owner" {
  for_each = aws_s3_bucket.owner

  bucket = each.value.id

  rule {
    bucket_key_enabled = var.storage_kms_key != null

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.storage_kms_key == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.storage_kms_key
    }
  }
}

# No rule that expires versions: what goes, and when, is Moraine's to say.
resource "aws_s3_bucket_lifecycle_configuration" "owner" {
  for_each = aws_s3_bucket.owner

  bucket = each.value.id

  rule {
    id     = "leftovers-of-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = var.multipart_days
    }
  }
}

data "aws_iam_policy_document" "tls" {
  for_each = aws_s3_bucket.owner

  statement {
    sid       = "OnlyOverTls"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [each.value.arn, "${each.value.arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "owner" {
  for_each = aws_s3_bucket.owner

  bucket = each.value.id
  policy = data.aws_iam_policy_document.tls[each.key].json
}

resource "aws_glacier_vault" "customer" {
  for_each = var.glacier_vaults

  name = each.key

  tags = {
    "moraine-installation" = var.installation
    "moraine-owner"        = each.value.owner
    "moraine-customer"     = each.value.customer
  }

  lifecycle {
    prevent_destroy = true
  }
}
