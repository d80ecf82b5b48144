#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# mkfs.erofs --oci and registries that lie
. "$(dirname "$0")/lib.sh"

if ! grep -q -- --oci <("$MKFS" --help); then
	echo "1..0 # SKIP built without libcurl or json-c"
	exit 0
fi
export HOME=$T DOCKER_CONFIG=$T
PREAD=$BUILD/check/utils/oci-pread
compile_with_liberofs "$PREAD" "$here/erofs-utils/tests/oci-pread.c"

# with MODE COMMAND...: run it with a registry of that kind, at 127.0.0.1:$port
with() { with_server registry.py "$@"; }
make_image() { timeout 60 "$MKFS" --quiet --oci=f,insecure,platform=${platform:-linux/amd64},username=u,password=p "$T/img" "127.0.0.1:$port/repo/img${ref:-:tag}"; }
from() { rm -f "$T/img"; with "$1" make_image; }
good() { rm -rf "$T/x"; from "$1" && "$FSCK" "--extract=$T/x" "$T/img" && [ "$(cat "$T/x/good")" = good ]; }
piece() { timeout 60 "$PREAD" "127.0.0.1:$port/repo/img:tag" 20 "$@"; }

with_platform() { local platform=$1; shift; "$@"; }
# what listens on another port is not spoken to
quiet() { from "$1" 2> /dev/null; [ "$(wc -l < "$T/port")" = 1 ]; }

for m in good list nullmedia notoken nulltoken nomanifesttype basic; do
	check "a registry: $m" good $m
done
check "a list without a variant" with_platform linux/arm64/v8 good novariant
pinned() { local ref=$1@$(python3 "$here/erofs-utils/tests/registry.py" "$2" --digest); good "$2"; }
for m in good list; do
	check "an image by its digest: $m" pinned "" $m
	check "an image by tag and digest: $m" pinned :tag $m
done
other_digest() { local ref=@sha256:$(printf %064d 0); from "$1"; }
fails "an image by another digest" "sends something else than sha256:" other_digest good
other_kind() { local ref=@sha512:$(printf %0128d 0); from "$1"; }
fails "an image by another kind of digest" "can't be verified" other_kind good
check "a list with a variant that was not asked for" with_platform linux/arm64 good othervariant
fails "a list for another variant" "repo/img:tag has nothing for the platform linux/arm64/v8" with_platform linux/arm64/v8 from othervariant
check "a registry that wants something else than HTTP spoken" quiet gopher
for m in evil short empty otherlist; do
	fails "not what has this digest: $m" "sends something else than sha256:" from $m
	check "and no image is left: $m" test ! -e "$T/img"
done
for m in zstd dockerzstd; do
	fails "a layer by another compressor: $m" "isn't supported: copy the image" from $m
done
fails "a layer without a digest" "no digest" from nulldigest
fails "a layer whose digest is a path" "no digest, but sha256:../victim" from pathdigest
fails "a manifest whose digest is a path" "sha256:../victim, which is no digest" from pathlist
fails "no list of manifests" "no manifests found" from manifests
fails "a manifest without a digest" "failed to get manifest digest" from nullmanifest
fails "an endless manifest" "sends more than it should" from endless
check "a piece of a blob, from a registry that sends more than that" with big piece
check "and from one that knows no ranges" with good piece

for m in space query lower second expires; do
	check "tokens: $m" good token-$m
done
fails "a password that isn't taken" "does not take the password of u" from token-refused
fails "a tag that isn't there" "manifests/tag: HTTP status 404" from nothing
fails "a registry that was asked too often" "manifests/tag: HTTP status 429" from toomany
twice() { [ "$(with "$1" piece 0 50 2> /dev/null | tr '\n' ' ')" = "$2" ]; }
check "reads after a token has expired" twice token-expires "20 20 "
check "another range than was asked for is not taken for it" twice otherrange "20 -5 "
bounded() (ulimit -f 20480; from endless-layer)
fails "a layer that is longer than its manifest says" "longer than its manifest says" bounded

printf '{"auths":%s}' null > "$T/config.json"
anonymous() { rm -rf "$T/img"; timeout 60 "$MKFS" --quiet --oci=f,insecure "$T/img" "127.0.0.1:$port${1:-/repo/img:tag}"; }
check "config.json has no credentials, as programs in Go say it" with good anonymous
printf '{"auths":%s}' '["127.0.0.1"]' > "$T/config.json"
check "or something else than credentials" with good anonymous
known() { printf '{"auths":{"%s":{"auth":"%s"}}}' "${key/PORT/$port}" "$(printf u:p | base64)" > "$T/config.json"; anonymous; }
for key in 127.0.0.1:PORT http://127.0.0.1:PORT https://127.0.0.1:PORT/v1/; do
	check "credentials of config.json: $key" with basic known
done
for key in 127.0.0.1 https://127.0.0.1:PORT0 https://127.0.0.1:PORT/repo/; do
	fails "those of somebody else are not used: $key" "HTTP status 401" with basic known
done
both() { printf '{"auths":{"http://127.0.0.1:%s/v1/":{"auth":"%s"},"127.0.0.1:%s":{"auth":"%s"}}}' $port "$(printf old:x | base64)" $port "$(printf u:p | base64)" \
	> "$T/config.json"; anonymous; }
check "a key that is the registry goes before an URL" with basic both
rm "$T/config.json"

proxied() { https_proxy=http://127.0.0.1:$port "$MKFS" --quiet --oci=f,username=u,password=p "$T/img" localhost/repo/img:tag; }
not_docker() { ! with good proxied && ! grep docker.io "$T/port"; }
check "localhost is a registry" not_docker

reads() { [ "$(with "$1" piece 2> "$T/errors")" = "$2" ]; }
check "a registry that sends a part of what was asked for is asked again" reads part 20
check "and one that sends nothing is not at the end of the blob" reads hole -5
check "a range whose header has blanks" reads blanks 20
check "a range that may be another one is not taken" reads norange -5
check "one that is encoded for those who take that is asked for as it is" reads encoded-if 20
flooded() { (ulimit -v 300000; piece | grep -x 20); }
check "much more than was asked for takes no memory" with flood flooded
fails "a layer without a size" "the manifest has no size of layer 0" with nosize piece
fails "an image with such a layer" "the manifest has no size of layer 0" from nosize
check "a registry that compresses whole blobs once more if it may" good encoded-if

indexed() { timeout 60 "$MKFS" --quiet --oci=i,insecure --gzinfo="$T/info" "$T/img" "127.0.0.1:$port/repo/img:tag"; }
check "an index of a layer, with --gzinfo" with good indexed
rm -f "$T/img" "$T/info"
fails "a layer that ends in the middle, with --gzinfo" "failed to process tar stream" with broken indexed
check "and no image is left" test ! -e "$T/img" -a ! -e "$T/info"
fails "an index that is written nowhere" "with a tarball as source" "$MKFS" --oci=i,insecure --gzinfo "$T/img" 127.0.0.1:1/repo/img:tag
echo kept > "$T/info"
fails "no registry" "curl request failed" "$MKFS" --oci=i,insecure "--gzinfo=$T/info" "$T/img" 127.0.0.1:1/repo/img:tag
check "and what there was of an index stays" grep -qx kept "$T/info"
rm "$T/info"
for o in --ungzip "--ungzip=$T/raw" --unxz --gzinfo; do
	fails "what layers have no use for: $o" "with a tarball as source" "$MKFS" --oci=f,insecure "$o" "$T/img" 127.0.0.1:1/repo/img:tag
done
unordered() { timeout 60 "$MKFS" --oci=f,insecure --sort=none "$T/img" "127.0.0.1:$port/repo/img:tag" 2>&1 | grep -F -- "--sort=none has no effect"; }
check "and --sort=none, which is told" with good unordered

# these would be other URLs than the words say
for r in @localhost/repo/img /repo/../img:tag /repo/./img /Repo/img //img /repo/img: "/repo/img:t?x" "/repo/img:t/x" "/repo/i%20g" \
	"/repo/img@sha256:../victim" "/repo/img@localhost/x:tag" x/repo/img /; do
	fails "no reference: $r" "is no reference of an image" with good anonymous "$r"
done
for r in /repo/img:T_1.x-y /a-b/c.d/e__f/img:tag; do check "a reference: $r" with good anonymous "$r"; done

check "a registry whose blobs are elsewhere" good elsewhere
check "in plain HTTP, too, if that was allowed" good plainly
# the certificate of a server that is here is trusted by who sees another list of them
trusted=/etc/ssl/certs/ca-certificates.crt
trusting() { unshare -rm bash -c 'mount --bind "$0" "$1" && shift && exec "$@"' "$T/tls" "$trusted" \
	timeout 60 "$MKFS" --quiet --oci=f,username=u,password=p "$T/img" "127.0.0.1:$port/repo/img:tag"; }
tls() { rm -f "$T/img"; LIES_TLS=$T/tls with "$1" trusting; }
if [ -e $trusted ] && unshare -rm mount --bind "$0" $trusted 2> /dev/null; then
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=here -addext subjectAltName=IP:127.0.0.1 -keyout "$T/key" -out "$T/tls" 2> /dev/null
	cat "$T/key" >> "$T/tls"
	for m in good elsewhere; do check "by TLS: $m" tls $m; done
	fails "nor are its tokens had in plain HTTP" "leads to an URL of another protocol" tls token-plain
	check "to which the password is not sent" test "$(wc -l < "$T/port")" = 1
	fails "a registry with TLS does not lead away from it" "leads to an URL of another protocol" tls plainly
else
	skip "registries with TLS" "no certificates or no namespaces here"
fi
done_testing
