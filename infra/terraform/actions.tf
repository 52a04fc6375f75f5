# Written by scripts/write-terraform.ts from src/iam/roles.ts and the tables of src/vault. Do not edit.
locals {
  actions = {
    glacier = {
      archiver = {
        account = [
          "glacier:ListVaults",
        ]
        vault = [
          "glacier:AbortMultipartUpload",
          "glacier:AddTagsToVault",
          "glacier:CompleteMultipartUpload",
          "glacier:CreateVault",
          "glacier:DescribeVault",
          "glacier:InitiateMultipartUpload",
          "glacier:ListMultipartUploads",
          "glacier:ListTagsForVault",
          "glacier:UploadArchive",
          "glacier:UploadMultipartPart",
        ]
        object = []
        storage_key = []
        never = [
          "glacier:AbortVaultLock",
          "glacier:DeleteArchive",
          "glacier:DeleteVault",
          "glacier:GetJobOutput",
          "glacier:InitiateJob",
        ]
      }
      purger = {
        account = [
          "glacier:ListVaults",
        ]
        vault = [
          "glacier:AbortMultipartUpload",
          "glacier:DeleteArchive",
          "glacier:DescribeJob",
          "glacier:DescribeVault",
          "glacier:GetJobOutput",
          "glacier:InitiateJob",
          "glacier:ListMultipartUploads",
          "glacier:ListTagsForVault",
        ]
        object = []
        storage_key = []
        never = [
          "glacier:AbortVaultLock",
          "glacier:CompleteMultipartUpload",
          "glacier:DeleteVault",
          "glacier:InitiateMultipartUpload",
          "glacier:UploadArchive",
          "glacier:UploadMultipartPart",
        ]
      }
      reader = {
        account = [
          "glacier:ListVaults",
        ]
        vault = [
          "glacier:DescribeJob",
          "glacier:GetJobOutput",
          "glacier:InitiateJob",
          "glacier:ListJobs",
          "glacier:ListTagsForVault",
        ]
        object = []
        storage_key = []
        never = [
          "glacier:AbortVaultLock",
          "glacier:CompleteMultipartUpload",
          "glacier:DeleteArchive",
          "glacier:DeleteVault",
          "glacier:InitiateMultipartUpload",
          "glacier:UploadArchive",
          "glacier:UploadMultipartPart",
        ]
      }
      auditor = {
        account = [
          "glacier:ListVaults",
        ]
        vault = [
          "glacier:DescribeJob",
          "glacier:DescribeVault",
          "glacier:GetVaultAccessPolicy",
          "glacier:GetVaultLock",
          "glacier:ListJobs",
          "glacier:ListMultipartUploads",
          "glacier:ListTagsForVault",
        ]
        object = []
        storage_key = []
        never = [
          "glacier:AbortVaultLock",
          "glacier:CompleteMultipartUpload",
          "glacier:DeleteArchive",
          "glacier:DeleteVault",
          "glacier:GetJobOutput",
          "glacier:InitiateJob",
          "glacier:InitiateMultipartUpload",
          "glacier:UploadArchive",
          "glacier:UploadMultipartPart",
        ]
      }
    }
    s3 = {
      archiver = {
        account = [
          "s3:ListAllMyBuckets",
        ]
        vault = [
          "s3:GetBucketObjectLockConfiguration",
          "s3:GetBucketOwnershipControls",
          "s3:GetBucketPolicy",
          "s3:GetBucketPublicAccessBlock",
          "s3:GetBucketTagging",
          "s3:GetBucketVersioning",
          "s3:GetEncryptionConfiguration",
          "s3:GetLifecycleConfiguration",
          "s3:ListBucket",
          "s3:ListBucketMultipartUploads",
          "s3:ListBucketVersions",
        ]
        object = [
          "s3:AbortMultipartUpload",
          "s3:GetObjectLegalHold",
          "s3:GetObjectRetention",
          "s3:ListMultipartUploadParts",
          "s3:PutObject",
          "s3:PutObjectLegalHold",
          "s3:PutObjectRetention",
        ]
        storage_key = [
          "kms:Decrypt",
          "kms:GenerateDataKey",
        ]
        never = [
          "s3:BypassGovernanceRetention",
          "s3:DeleteBucket",
          "s3:DeleteObject",
          "s3:DeleteObjectVersion",
          "s3:GetObject",
          "s3:GetObjectVersion",
          "s3:PutLifecycleConfiguration",
          "s3:RestoreObject",
        ]
      }
      purger = {
        account = [
          "s3:ListAllMyBuckets",
        ]
        vault = [
          "s3:GetBucketObjectLockConfiguration",
          "s3:GetBucketOwnershipControls",
          "s3:GetBucketPolicy",
          "s3:GetBucketPublicAccessBlock",
          "s3:GetBucketTagging",
          "s3:GetBucketVersioning",
          "s3:GetEncryptionConfiguration",
          "s3:GetLifecycleConfiguration",
          "s3:ListBucket",
          "s3:ListBucketMultipartUploads",
          "s3:ListBucketVersions",
        ]
        object = [
          "s3:AbortMultipartUpload",
          "s3:DeleteObjectVersion",
          "s3:GetObject",
          "s3:GetObjectLegalHold",
          "s3:GetObjectRetention",
          "s3:GetObjectVersion",
        ]
        storage_key = [
          "kms:Decrypt",
        ]
        never = [
          "s3:BypassGovernanceRetention",
          "s3:DeleteBucket",
          "s3:PutObject",
          "s3:PutObjectLegalHold",
          "s3:PutObjectRetention",
          "s3:RestoreObject",
        ]
      }
      reader = {
        account = [
          "s3:ListAllMyBuckets",
        ]
        vault = [
          "s3:GetBucketObjectLockConfiguration",
          "s3:GetBucketOwnershipControls",
          "s3:GetBucketPolicy",
          "s3:GetBucketPublicAccessBlock",
          "s3:GetBucketTagging",
          "s3:GetBucketVersioning",
          "s3:GetEncryptionConfiguration",
          "s3:GetLifecycleConfiguration",
          "s3:ListBucket",
        ]
        object = [
          "s3:GetObject",
          "s3:GetObjectLegalHold",
          "s3:GetObjectRetention",
          "s3:GetObjectVersion",
          "s3:RestoreObject",
        ]
        storage_key = [
          "kms:Decrypt",
        ]
        never = [
          "s3:BypassGovernanceRetention",
          "s3:DeleteBucket",
          "s3:DeleteObject",
          "s3:DeleteObjectVersion",
          "s3:PutLifecycleConfiguration",
          "s3:PutObject",
          "s3:PutObjectLegalHold",
          "s3:PutObjectRetention",
        ]
      }
      auditor = {
        account = [
          "s3:ListAllMyBuckets",
        ]
        vault = [
          "s3:GetBucketLocation",
          "s3:GetBucketObjectLockConfiguration",
          "s3:GetBucketOwnershipControls",
          "s3:GetBucketPolicy",
          "s3:GetBucketPublicAccessBlock",
          "s3:GetBucketTagging",
          "s3:GetBucketVersioning",
          "s3:GetEncryptionConfiguration",
          "s3:GetLifecycleConfiguration",
          "s3:ListBucket",
          "s3:ListBucketMultipartUploads",
          "s3:ListBucketVersions",
        ]
        object = [
          "s3:GetObjectLegalHold",
          "s3:GetObjectRetention",
        ]
        storage_key = []
        never = [
          "s3:BypassGovernanceRetention",
          "s3:DeleteBucket",
          "s3:DeleteObject",
          "s3:DeleteObjectVersion",
          "s3:GetObject",
          "s3:GetObjectVersion",
          "s3:PutLifecycleConfiguration",
          "s3:PutObject",
          "s3:PutObjectLegalHold",
          "s3:PutObjectRetention",
          "s3:RestoreObject",
        ]
      }
    }
    wrapping = {
      archiver = {
        in_context = [
          "kms:GenerateDataKey",
        ]
        look = [
          "kms:DescribeKey",
          "kms:GetKeyRotationStatus",
        ]
      }
      purger = {
        in_context = []
        look = []
      }
      reader = {
        in_context = [
          "kms:Decrypt",
        ]
        look = []
      }
      auditor = {
        in_context = []
        look = [
          "kms:DescribeKey",
          "kms:GetKeyRotationStatus",
        ]
      }
    }
  }
}
