/** Writes what the Terraform module is made with, from the roles of `src/iam`. A test compares. */
import { writeFileSync } from 'node:fs';
import { terraformActions } from '../src/iam/terraform.ts';

writeFileSync(new URL('../infra/terraform/actions.tf', import.meta.url), terraformActions());
