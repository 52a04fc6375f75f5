# The four roles: archiver, purger and auditor for all owners, a reader for each.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  partition = data.aws_partition.current.partition
  buckets   = { for owner, each in var.owners : owner => each.bucket if each.bucket != null }
  prefixes  = { for owner, each in var.owners : owner => each.vault_prefix if each.vault_prefix != null }

  bucket_arns = { for owner, bucket in local.buckets : owner => "arn:${local.partition}:s3:::${bucket}" }
  vault_arns = {
    for owner, prefix in local.prefixes : owner =>
    "arn:${local.partition}:glacier:${data.aws_region.current.name}:${data.aws_caller_identity.current.account_id}:vaults/${prefix}*"
  }

  principals = { archiver = var.archivers, purger = var.purgers, auditor = var.auditors }
  shared     = { for role, principals in local.principals : role => principals if length(principals) > 0 }

  # A scope is a role for some owners.
  scopes = merge(
    { for role, _ in local.shared : role => { role = role, owners = keys(var.owners) } },
    { for owner, _ in var.owners : "reader/${owner}" => { role = "reader", owners = [owner] } },
  )
}

data "aws_iam_policy_document" "trust" {
  for_each = merge(local.shared, { for owner, each in var.owners : "reader/${owner}" => each.readers if length(each.readers) > 0 })

  statement {
    effect  = "Allow"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = each.value
    }
  }
}

data "aws_iam_policy_document" "nobody" {
  statement {
    effect  = "Deny"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }
  }
}

resource "aws_iam_role" "role" {
  for_each = local.shared

  name               = "${var.name}-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.trust[each.key].json
}

resource "aws_iam_role" "reader" {
  for_each = var.owners

  name               = "${var.name}-reader-${substr(sha256(each.key), 0, 16)}"
  description        = "Moraine: reads the archives of one owner"
  assume_role_policy = try(data.aws_iam_policy_document.trust["reader/${each.key}"].json, data.aws_iam_policy_document.nobody.json)

  tags = {
    "moraine-owner" = replace(each.key, "/[^A-Za-z0-9-]/", "_")
  }
}

data "aws_iam_policy_document" "role" {
  for_each = local.scopes

  dynamic "statement" {
    for_each = length(local.vault_arns) > 0 ? ["glacier"] : []

    content {
      sid       = "GlacierAccount"
      actions   = local.actions.glacier[each.value.role].account
      resources = ["*"]
    }
  }

  dynamic "statement" {
    for_each = [for owner in each.value.owners : owner if contains(keys(local.vault_arns), owner)]

    content {
      actions   = local.actions.glacier[each.value.role].vault
      resources = [local.vault_arns[statement.value]]
    }
  }

  dynamic "statement" {
    for_each = [for owner in each.value.owners : owner if contains(keys(local.vault_arns), owner)]

    content {
      effect    = "Deny"
      actions   = local.actions.glacier[each.value.role].never
      resources = [local.vault_arns[statement.value]]
    }
  }

  dynamic "statement" {
    for_each = length(local.bucket_arns) > 0 ? ["s3"] : []

    content {
      sid       = "S3Account"
      actions   = local.actions.s3[each.value.role].account
      resources = ["*"]
    }
  }

  dynamic "statement" {
    for_each = [for owner in each.value.owners : owner if contains(keys(local.bucket_arns), owner)]

    content {
      actions   = local.actions.s3[each.value.role].vault
      resources = [local.bucket_arns[statement.value]]
    }
  }

  dynamic "statement" {
    for_each = length(local.actions.s3[each.value.role].object) > 0 ? [for owner in each.value.owners : owner if contains(keys(local.bucket_arns), owner)] : []

    content {
      actions   = local.actions.s3[each.value.role].object
      resources = ["${local.bucket_arns[statement.value]}/*"]
    }
  }

  dynamic "statement" {
    for_each = [for owner in each.value.owners : owner if contains(keys(local.bucket_arns), owner)]

    content {
      effect    = "Deny"
      actions   = local.actions.s3[each.value.role].never
      resources = [local.bucket_arns[statement.value], "${local.bucket_arns[statement.value]}/*"]
    }
  }

  dynamic "statement" {
    for_each = var.storage_kms_key != null && length(local.actions.s3[each.value.role].storage_key) > 0 ? [var.storage_kms_key] : []

    content {
      actions   = local.actions.s3[each.value.role].storage_key
      resources = [statement.value]

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["s3.${data.aws_region.current.name}.amazonaws.com"]
      }
    }
  }

  dynamic "statement" {
    for_each = length(local.actions.wrapping[each.value.role].in_context) > 0 ? [each.value.role] : []

    content {
      actions   = local.actions.wrapping[each.value.role].in_context
      resources = [aws_kms_key.archives.arn]

      condition {
        test     = "StringEquals"
        variable = "kms:EncryptionContext:installation"
        values   = [var.installation]
      }

      dynamic "condition" {
        for_each = each.value.role == "reader" ? each.value.owners : []

        content {
          test     = "StringEquals"
          variable = "kms:EncryptionContext:owner"
          values   = [replace(condition.value, "$", "$${$}")]
        }
      }
    }
  }

  dynamic "statement" {
    for_each = length(local.actions.wrapping[each.value.role].look) > 0 ? [each.value.role] : []

    content {
      actions   = local.actions.wrapping[each.value.role].look
      resources = [aws_kms_key.archives.arn]
    }
  }

  dynamic "statement" {
    for_each = each.value.role == "reader" ? [] : [each.value.role]

    content {
      effect    = "Deny"
      actions   = ["kms:Decrypt"]
      resources = [aws_kms_key.archives.arn]

      condition {
        test     = "Null"
        variable = "kms:EncryptionContext:installation"
        values   = ["false"]
      }
    }
  }
}

resource "aws_iam_role_policy" "shared" {
  for_each = local.shared

  name   = "${var.name}-${each.key}"
  role   = aws_iam_role.role[each.key].id
  policy = data.aws_iam_policy_document.role[each.key].json
}

resource "aws_iam_role_policy" "reader" {
  for_each = var.owners

  name   = "${var.name}-reader"
  role   = aws_iam_role.reader[each.key].id
  policy = data.aws_iam_policy_document.role["reader/${each.key}"].json
}
