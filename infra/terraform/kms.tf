# The key that wraps archive keys: the archiver makes data keys with it, readers open those of their owner.

resource "aws_kms_key" "archives" {
  description             = "Moraine ${var.installation}: wraps the keys of archives. Without it what only it opens is lost."
  enable_key_rotation     = true
  deletion_window_in_days = var.key_deletion_window_days
  policy                  = data.aws_iam_policy_document.key.json

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_kms_alias" "archives" {
  name          = "alias/${var.name}-archives"
  target_key_id = aws_kms_key.archives.key_id
}

data "aws_iam_policy_document" "key" {
  # Who administers the account may look, and take the key back when its administrators are lost. Using it is given below
  # and nowhere else: a policy of IAM alone gives nobody `kms:Decrypt`.
  statement {
    sid    = "AccountTakesBack"
    effect = "Allow"
    actions = [
      "kms:CancelKeyDeletion",
      "kms:DescribeKey",
      "kms:GetKeyPolicy",
      "kms:GetKeyRotationStatus",
      "kms:ListResourceTags",
      "kms:PutKeyPolicy",
    ]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${local.partition}:iam::${data.aws_caller_identity.current.account_id}:root"]
    }
  }

  statement {
    sid    = "AdministratorsOfTheKey"
    effect = "Allow"
    actions = [
      "kms:CancelKeyDeletion",
      "kms:CreateAlias",
      "kms:DeleteAlias",
      "kms:DescribeKey",
      "kms:DisableKey",
      "kms:EnableKey",
      "kms:EnableKeyRotation",
      "kms:GetKeyPolicy",
      "kms:GetKeyRotationStatus",
      "kms:ListResourceTags",
      "kms:PutKeyPolicy",
      "kms:ScheduleKeyDeletion",
      "kms:TagResource",
      "kms:UntagResource",
      "kms:UpdateAlias",
      "kms:UpdateKeyDescription",
    ]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = var.key_administrators
    }
  }

  statement {
    sid       = "ArchiverMakesDataKeys"
    effect    = "Allow"
    actions   = local.actions.wrapping.archiver.in_context
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = [aws_iam_role.role["archiver"].arn]
    }

    condition {
      test     = "StringEquals"
      variable = "kms:EncryptionContext:installation"
      values   = [var.installation]
    }
  }

  dynamic "statement" {
    for_each = var.owners

    content {
      sid       = "ReaderOpens${substr(sha256(statement.key), 0, 16)}"
      effect    = "Allow"
      actions   = local.actions.wrapping.reader.in_context
      resources = ["*"]

      principals {
        type        = "AWS"
        identifiers = [aws_iam_role.reader[statement.key].arn]
      }

      condition {
        test     = "StringEquals"
        variable = "kms:EncryptionContext:owner"
        values   = [replace(statement.key, "$", "$${$}")]
      }
    }
  }
}
