"""The same rotation as runbook.sh, in one process."""
import datetime, json, os, time
import boto3

secret, bucket, group = (os.environ[k] for k in ("SECRET", "BUCKET", "LOG_GROUP"))
sm, s3, logs = (boto3.client(s) for s in ("secretsmanager", "s3", "logs"))
run = f"bench-{os.getpid()}"
stages = sm.describe_secret(SecretId=secret)["VersionIdsToStages"]
old = next(v for v, labels in stages.items() if "AWSCURRENT" in labels)
password = sm.get_random_password(PasswordLength=32, ExcludePunctuation=True)["RandomPassword"]
new = sm.put_secret_value(SecretId=secret, VersionStages=["AWSPENDING"],
                          SecretString=json.dumps({"username": "app", "password": password}))["VersionId"]
assert json.loads(sm.get_secret_value(SecretId=secret, VersionId=new)["SecretString"])["password"] == password
move = sm.update_secret_version_stage
move(SecretId=secret, VersionStage="ROLLBACK-bench", MoveToVersionId=old)
move(SecretId=secret, VersionStage="AWSCURRENT", MoveToVersionId=new, RemoveFromVersionId=old)
move(SecretId=secret, VersionStage="AWSPENDING", RemoveFromVersionId=new)
sm.tag_resource(SecretId=secret, Tags=[{"Key": "version", "Value": "20261123"}, {"Key": "rotated_by", "Value": "kim"}])
assert "AWSCURRENT" in sm.describe_secret(SecretId=secret)["VersionIdsToStages"][new]
until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=7 * 365)
for part in ("request", "before", "after", "validation"):
    s3.put_object(Bucket=bucket, Key=f"rotations/{run}/{part}.json", Body=json.dumps({"part": part, "old": old, "new": new}),
                  ChecksumAlgorithm="SHA256", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until)
logs.create_log_stream(logGroupName=group, logStreamName=run)
logs.put_log_events(logGroupName=group, logStreamName=run,
                    logEvents=[{"timestamp": int(time.time() * 1000), "message": "rotated"}])
