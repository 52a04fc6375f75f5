variable "installation" {
  description = "Id of the installation, as `moraine check` prints it: names of vaults and the context of keys hold it."
  type        = string
}

variable "owners" {
  description = "By owner id: its bucket, and what its vaults' names begin with, both as `moraine iam --json` names them; principals may take the reader's role."
  type = map(object({
    bucket       = optional(string)
    vault_prefix = optional(string)
    readers      = optional(list(string), [])
  }))
}

variable "name" {
  description = "First part of the names of roles, policies and the key's alias."
  type        = string
  default     = "moraine"
}

variable "archivers" {
  description = "ARNs of the principals that may take the archiver's role."
  type        = list(string)
}

variable "purgers" {
  description = "ARNs of the principals that may take the purger's role."
  type        = list(string)
}

variable "auditors" {
  description = "ARNs of the principals that may take the auditor's role."
  type        = list(string)
  default     = []
}

variable "key_administrators" {
  description = "ARNs of the people who may change the key of KMS, and cancel its deletion. They can give themselves more: keep them few."
  type        = list(string)
}

variable "object_lock" {
  description = "Buckets with Object Lock, for objectLock: holds, governance or compliance. It cannot be taken away."
  type        = bool
  default     = true
}

variable "storage_kms_key" {
  description = "ARN of the key that S3 encrypts buckets with (encryption.kms of the vault); null: keys of S3."
  type        = string
  default     = null
}

variable "key_deletion_window_days" {
  description = "How long a scheduled deletion of the key can be cancelled."
  type        = number
  default     = 30

  validation {
    condition     = var.key_deletion_window_days >= 7 && var.key_deletion_window_days <= 30
    error_message = "KMS takes 7 to 30 days."
  }
}

variable "multipart_days" {
  description = "Uploads that nobody finished are removed after so many days: longer than the longest upload, and than a daemon is away."
  type        = number
  default     = 14
}

variable "glacier_vaults" {
  description = "Vaults of Glacier that are to be there before Moraine asks, by name; it makes the others itself."
  type = map(object({
    owner    = string
    customer = string
  }))
  default = {}
}
