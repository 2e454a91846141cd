"""The same rotation as runbook.sh, call for call, in one process and one session; several, one after another."""
import datetime
import json
import os
import secrets
import string
import time
import urllib.request

import boto3

bucket, group = os.environ["BUCKET"], os.environ["LOG_GROUP"]
session = boto3.Session()
sm, s3, logs = (session.client(s) for s in ("secretsmanager", "s3", "logs"))


def rotate(secret, run):
    evidence = {}
    evidence["before"] = sm.describe_secret(SecretId=secret)
    current = sm.get_secret_value(SecretId=secret, VersionStage="AWSCURRENT")
    old, value = current["VersionId"], json.loads(current["SecretString"])
    value["password"] = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(32))
    new = sm.put_secret_value(SecretId=secret, VersionStages=["AWSPENDING"], SecretString=json.dumps(value))["VersionId"]
    stored = sm.get_secret_value(SecretId=secret, VersionId=new)["SecretString"]
    if json.loads(stored) != value:
        raise SystemExit("the new version isn't what was stored")

    move = sm.update_secret_version_stage
    move(SecretId=secret, VersionStage=f"ROLLBACK-{run}", MoveToVersionId=old)
    move(SecretId=secret, VersionStage="AWSCURRENT", MoveToVersionId=new, RemoveFromVersionId=old)
    move(SecretId=secret, VersionStage="AWSPENDING", RemoveFromVersionId=new)
    sm.tag_resource(SecretId=secret, Tags=[{"Key": "version", "Value": run[:8]}, {"Key": "rotated_by", "Value": "kim"}])
    evidence["after"] = sm.describe_secret(SecretId=secret)
    if "AWSCURRENT" not in evidence["after"]["VersionIdsToStages"][new]:
        raise SystemExit("AWSCURRENT isn't on the new version")
    with urllib.request.urlopen(os.environ["HEALTH"], timeout=10) as answer:
        evidence["validation"] = json.load(answer)

    evidence["request"] = {"secret": secret, "ticket": "SEC-7", "operator": "kim", "old": old, "new": new}
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=7 * 365)
    name = secret.replace("/", "~") + "/" + run
    for part, content in evidence.items():
        s3.put_object(Bucket=bucket, Key=f"rotations/{name}/{part}.json", Body=json.dumps(content, default=str), IfNoneMatch="*",
                      ChecksumAlgorithm="SHA256", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until)
    logs.create_log_stream(logGroupName=group, logStreamName=name)
    logs.put_log_events(logGroupName=group, logStreamName=name,
                        logEvents=[{"timestamp": int(time.time() * 1000), "message": json.dumps(evidence["request"])}])


for secret in os.environ["SECRET"].split():
    rotate(secret, f"{datetime.datetime.now(datetime.timezone.utc):%Y%m%dT%H%M%SZ}-{os.getpid()}")
