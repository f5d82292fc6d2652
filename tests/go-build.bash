# shellcheck shell=bash
# Builds Go programs into the user's cache. Sourced by scripts that need such programs: they set
# $here, the folder of the module, and build_flags, and define say and fail.

cache=${XDG_CACHE_HOME:-$HOME/.cache}/cortecs-operator

# hash_of STRING FILE... prints a hash that names the result of a build from them.
hash_of() {
	local text=$1
	shift
	{ printf '%s\n' "$text" "$(uname -sm)" && cat "$@"; } | sha256sum | cut -c1-16
}

# build PACKAGE PATH [LDFLAGS] [FLAG...] builds one binary. The binary is complete or absent.
build() (
	package=$1 path=$2 ldflags=${3:--s -w}
	command -v go >/dev/null || fail "go is needed to build $(basename "$path")"
	mkdir -p "$(dirname "$path")"
	work=$(mktemp -d "$(dirname "$path")/.build.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	cd "$here"
	CGO_ENABLED=${cgo:-0} GOWORK=off GOOS='' GOARCH='' go build "${build_flags[@]}" "${@:4}" -ldflags "$ldflags" \
		-o "$work/binary" "$package" >"$work/log" 2>&1 9>&- || {
		cat "$work/log" >&2
		fail "cannot build $package"
	}
	mv -T "$work/binary" "$path"
)

# locked DIR COMMAND... runs the command under the lock of DIR.
locked() {
	mkdir -p "$1"
	(
		flock -n 9 || {
			say "waiting for another build in $1"
			flock 9
		}
		# Left by a killed build: under the lock no other build runs.
		rm -rf "$1"/.build.*
		"${@:2}"
	) 9>"$1/.lock"
}
