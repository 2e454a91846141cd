#!/usr/bin/env bash
# What a person with a runbook types: one rotation of $SECRET, with evidence in $BUCKET and $LOG_GROUP.
set -euo pipefail
run=bench-$$
old=$(aws secretsmanager describe-secret --secret-id "$SECRET" --output json |
  sed -nE '/VersionIdsToStages/,/}/{s/^ *"([0-9A-Za-z-]+)": \[.*/\1/p}' | head -1)
password=$(aws secretsmanager get-random-password --password-length 32 --exclude-punctuation --query RandomPassword --output text)
new=$(aws secretsmanager put-secret-value --secret-id "$SECRET" --version-stages AWSPENDING \
  --secret-string "{\"username\":\"app\",\"password\":\"$password\"}" --query VersionId --output text)
aws secretsmanager get-secret-value --secret-id "$SECRET" --version-id "$new" --query VersionId --output text >/dev/null
aws secretsmanager update-secret-version-stage --secret-id "$SECRET" --version-stage ROLLBACK-bench --move-to-version-id "$old" >/dev/null
aws secretsmanager update-secret-version-stage --secret-id "$SECRET" --version-stage AWSCURRENT \
  --move-to-version-id "$new" --remove-from-version-id "$old" >/dev/null
aws secretsmanager update-secret-version-stage --secret-id "$SECRET" --version-stage AWSPENDING --remove-from-version-id "$new" >/dev/null
aws secretsmanager tag-resource --secret-id "$SECRET" --tags Key=version,Value=20261123 Key=rotated_by,Value=kim
aws secretsmanager describe-secret --secret-id "$SECRET" >/dev/null
evidence=$(mktemp)
trap 'rm -f "$evidence"' EXIT
until=$(date -u -d '+7 years' +%Y-%m-%dT%H:%M:%SZ)
for part in request before after validation; do
  echo "{\"part\":\"$part\",\"secret\":\"$SECRET\",\"old\":\"$old\",\"new\":\"$new\"}" >"$evidence"
  aws s3api put-object --bucket "$BUCKET" --key "rotations/$run/$part.json" --body "$evidence" --checksum-algorithm SHA256 \
    --object-lock-mode COMPLIANCE --object-lock-retain-until-date "$until" >/dev/null
done
aws logs create-log-stream --log-group-name "$LOG_GROUP" --log-stream-name "$run"
aws logs put-log-events --log-group-name "$LOG_GROUP" --log-stream-name "$run" \
  --log-events "timestamp=$(date +%s)000,message=rotated" >/dev/null
