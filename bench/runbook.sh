#!/usr/bin/env bash
# What a careful person with the runbook types: one rotation of "password" in $SECRET, proven at $HEALTH, with
# evidence in $BUCKET and $LOG_GROUP. As little as gives the same result: the value is made on this machine.
set -euo pipefail
umask 077
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
now=$(date -u +%Y%m%dT%H%M%SZ)
run=${SECRET//\//\~}/$now-$$
label=ROLLBACK-$now-$$
sm() { aws secretsmanager "$@" --secret-id "$SECRET"; }

sm describe-secret >before.json
old=$(sm get-secret-value --version-stage AWSCURRENT --query '[VersionId,SecretString]' --output json | tee old.json | jq -r '.[0]')
password=$(head -c 512 /dev/urandom | LC_ALL=C tr -dc 'A-Za-z0-9' | head -c 32)
jq --arg password "$password" '.[1] | fromjson | .password = $password' old.json >new.json
new=$(sm put-secret-value --version-stages AWSPENDING --secret-string file://new.json --query VersionId --output text)
sm get-secret-value --version-id "$new" --query SecretString --output text | jq -e --slurpfile want new.json '. == $want[0]' >/dev/null

sm update-secret-version-stage --version-stage "$label" --move-to-version-id "$old" >/dev/null
sm update-secret-version-stage --version-stage AWSCURRENT --move-to-version-id "$new" --remove-from-version-id "$old" >/dev/null
sm update-secret-version-stage --version-stage AWSPENDING --remove-from-version-id "$new" >/dev/null
sm tag-resource --tags "Key=version,Value=${now%%T*}" Key=rotated_by,Value=kim
sm describe-secret >after.json
jq -e --arg new "$new" '.VersionIdsToStages[$new] | index("AWSCURRENT")' after.json >/dev/null
curl --fail --silent --show-error --max-time 10 "$HEALTH" >validation.json

jq -n --arg secret "$SECRET" --arg old "$old" --arg new "$new" \
  '{secret: $secret, ticket: "SEC-7", operator: "kim", old: $old, new: $new}' >request.json
until=$(date -u -d '+7 years' +%Y-%m-%dT%H:%M:%SZ)
for part in request before after validation; do
  aws s3api put-object --bucket "$BUCKET" --key "rotations/$run/$part.json" --body "$part.json" --if-none-match '*' \
    --checksum-algorithm SHA256 --object-lock-mode COMPLIANCE --object-lock-retain-until-date "$until" >/dev/null
done
jq -c --arg time "$(date +%s)000" '[{timestamp: ($time | tonumber), message: tojson}]' request.json >events.json
aws logs create-log-stream --log-group-name "$LOG_GROUP" --log-stream-name "$run"
aws logs put-log-events --log-group-name "$LOG_GROUP" --log-stream-name "$run" --log-events file://events.json >/dev/null
