#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# mkfs.erofs --oci and registries that lie
. "$(dirname "$0")/lib.sh"

if ! "$MKFS" --help | grep -q -- --oci; then
	echo "1..0 # SKIP built without libcurl or json-c"
	exit 0
fi
export HOME=$T DOCKER_CONFIG=$T
# from MODE: make an image of what a registry of that kind sends
from()
{
	local port pid status=0
	rm -rf "$T/img" "$T/port"
	python3 "$here/erofs-utils/tests/registry.py" "$1" > "$T/port" 2> /dev/null &
	pid=$!
	while kill -0 $pid && [ ! -s "$T/port" ]; do sleep 0.1; done
	port=$(< "$T/port")
	timeout 60 "$MKFS" --quiet --oci=f,insecure,username=u,password=p "$T/img" "127.0.0.1:$port/repo/img:tag" || status=$?
	kill $pid
	return $status
}
good() { rm -rf "$T/x"; from "$1" && "$FSCK" "--extract=$T/x" "$T/img" && [ "$(cat "$T/x/good")" = good ]; }
for m in good nullmedia notoken nulltoken; do
	check "a registry: $m" good $m
done
for m in evil short empty; do
	fails "not the blob of this digest: $m" "sends another blob than sha256:" from $m
	check "and no image is left: $m" test ! -e "$T/img"
done
fails "a layer without a digest" "no digest" from nulldigest
fails "no list of manifests" "no manifests found" from manifests
fails "a manifest without a digest" "failed to get manifest digest" from manifests2
fails "an endless manifest" "sends more than it should" from endless
done_testing
