# shellcheck shell=bash
# The parts of a release, and the workflows that make it. Sourced by check.

test_workflows() {
	local actionlint unpinned
	actionlint=$(tests/tools/tools actionlint)
	"$actionlint" || fail "see above"
	unpinned=$(grep -nE '^ *-? *uses: ' .github/workflows/*.yml | grep -vE 'uses: (\./|[^@ ]+@[0-9a-f]{40} # v[0-9.]+$)' || true)
	expect "the actions that are not pinned to a commit" "$unpinned" ''
	# The workflow sets GOTOOLCHAIN=local, so Go refuses a module that needs a later toolchain.
	expect "the steps after setup-go that do not permit a later Go" "$(awk '
		/uses: actions\/setup-go@/ { set_up = 1; next }
		set_up && /^      - / { if (!/ run: echo GOTOOLCHAIN=auto >>"\$GITHUB_ENV"$/) print FILENAME ":" FNR; set_up = 0 }
		' .github/workflows/*.yml)" ''
	# The tests, the release and the users' builds use one compiler.
	expect "the number of compilers" "$(sed -nE 's/^ *RUSTUP_TOOLCHAIN: //p; s/^FROM rust:(.*)-[a-z]+ AS .*/\1/p' .github/workflows/{ci,release}.yml deploy/image/Dockerfile |
		sort | uniq --count | awk '{ print $1 }')" 3
	expect "the tools of cargo in several versions" "$(grep -hoE 'cargo install .* --version [^ ]+' .github/workflows/*.yml deploy/image/Dockerfile | sort --unique |
		awk '{ print $3 }' | uniq --repeated)" ''
	expect "the jobs that may write, and are outside of the environment or run what crates bring along" "$(awk '
		function done() { if (writes && (outside || builds)) print job; writes = builds = 0; outside = 1 }
		/^  [a-z0-9-]+:$/ { done(); job = FILENAME ": " $1 }
		/^      [a-z-]+: write/ { writes = 1 }
		/^    environment: release$/ { outside = 0 }
		/cargo|make / { builds = 1 }
		END { done() }
		' .github/workflows/*.yml)" ''
	local workflow
	for workflow in .github/workflows/*.yml; do
		grep -qx 'permissions: {}' "$workflow" || fail "$workflow does not begin with no permissions at all"
		awk '/^jobs:/ { on = 1 } on && /^  [a-z0-9-]+:$/ { if (job && !said) print job; job = $1; said = 0 } on && /^    permissions:$/ { said = 1 }
			END { if (!said) print job }' "$workflow" >"$dir/unsaid"
		expect "the jobs of $workflow that do not say what they may" "$(paste -sd ' ' "$dir/unsaid")" ''
	done
}

# In a copy of the tree, so that the files can be wrong.
test_published() {
	local tree=$dir/tagged version image digest where registry binary source=https://git.example/team/operator
	mkdir -p "$tree/tests"
	cp -r Cargo.toml Cargo.lock CHANGELOG.md crds deploy "$tree/"
	cp -r tests/tools tests/go-build.bash "$tree/tests/"
	version=$(deploy/release version)
	deploy/release check

	refused 'CHANGELOG.md says nothing' "$tree/deploy/release" check "v$version"
	sed -i "s/^## \[Unreleased\]/&\n\n## [$version] - 2026-01-02\n\n### Added\n\n- Much, and what\n  isn't little.\n- \`more\`\n\n### Fixed\n\n- All.\n\n## [0.0.1]/" "$tree/CHANGELOG.md"
	"$tree/deploy/release" check "v$version"
	expect "the notes" "$("$tree/deploy/release" notes)" $'### Added\n\n- Much, and what\n  isn\'t little.\n- `more`\n\n### Fixed\n\n- All.'
	refused 'the tag is v9.9.9' "$tree/deploy/release" check v9.9.9
	refused 'the tag is' "$tree/deploy/release" check "$version"
	refused 'says nothing under' "$tree/deploy/release" notes 9.9.9
	sed -i 's/^appVersion: .*/appVersion: 9.9.9/' "$tree/deploy/helm/cortecs-operator/Chart.yaml"
	refused "Chart.yaml's appVersion is 9.9.9" "$tree/deploy/release" check
	cp deploy/helm/cortecs-operator/Chart.yaml "$tree/deploy/helm/cortecs-operator/"
	sed -i "s/^version = \"$version\"/version = \"9.9.9\"/" "$tree/Cargo.toml"
	refused 'Cargo.lock is' "$tree/deploy/release" check
	cp Cargo.toml "$tree/"

	registry=$(tests/tools/tools registry)
	: >"$dir/registry.log"
	"$registry" --port 0 >"$dir/registry.log" 2>&1 &
	processes+=($!)
	registry_is_up() { where=$(sed -n 's/.*serving on port /localhost:/p' "$dir/registry.log") && [[ -n $where ]]; }
	until_true "the registry" registry_is_up

	published_image
	published_files
	digest=$(PLAIN_HTTP=1 "$tree/deploy/release" push "$dir/files" "oci://$where/charts")
	[[ $digest =~ ^digest=sha256:[0-9a-f]{64}$ ]] || fail "no digest: $digest"
	mkdir "$dir/pulled"
	"$helm3" pull --plain-http "oci://$where/charts/cortecs-operator" --version "$version" --destination "$dir/pulled" >"$dir/pull.log" 2>&1
	grep -q "${digest#digest=}" "$dir/pull.log" || fail "another digest comes back: $(cat "$dir/pull.log")"
	cmp "$dir/pulled/cortecs-operator-$version.tgz" "$dir/files/cortecs-operator-$version.tgz" || fail "another chart comes back"
	refused 'cannot push' env PLAIN_HTTP=1 "$tree/deploy/release" push "$dir/files" "oci://127.0.0.1:1/charts"
	rm -rf "$tree"
}

# The pushed image is the packed one, for each architecture.
published_image() {
	local crane machine built=() pushed
	crane=$(tests/tools/tools crane)
	mkdir -p "$dir/content" "$dir/machine"
	printf '#!/bin/sh\n' >"$dir/content/operator"
	chmod +x "$dir/content/operator"
	for machine in x86_64 aarch64; do
		printf '#!/bin/sh\necho %s\n' "$machine" >"$dir/machine/uname"
		chmod +x "$dir/machine/uname"
		built+=("$(PATH=$dir/machine:$PATH deploy/image/pack --name operator:1 --output "$dir/$machine.tar" --entrypoint /operator "$dir/content")")
	done
	pushed=$(PLAIN_HTTP=1 "$tree/deploy/release" image "$where/team/operator" "$dir/x86_64.tar" "$dir/aarch64.tar")
	expect "the digest of the tag" "digest=$("$crane" digest "$where/team/operator:$version")" "$pushed"
	expect "what is behind it" "$("$crane" manifest "$where/team/operator:$version" | jq --raw-output '.manifests[] | "\(.platform.os)/\(.platform.architecture) \(.digest)"')" \
		"linux/amd64 ${built[0]}"$'\n'"linux/arm64 ${built[1]}"
	expect "the layers" "$("$crane" export --platform linux/arm64 "$where/team/operator:$version" - | tar --list)" operator
	refused 'cannot push' "$tree/deploy/release" image 127.0.0.1:1/team/operator "$dir/x86_64.tar"
	refused 'archives are needed' "$tree/deploy/release" image "$where/team/operator"
}

published_files() {
	local package chart=$tree/deploy/helm/cortecs-operator charts=oci://images.example/team/charts
	digest=sha256:$(printf '%064d' 1) image=images.example/team/cortecs-operator
	files() { "$tree/deploy/release" files "$dir/files" "$image@$digest" "$charts" "$source"; }
	refused 'the image is not' "$tree/deploy/release" files "$dir/files" "$image:$version" "$charts" "$source"
	refused "place is not oci" "$tree/deploy/release" files "$dir/files" "$image@$digest" "${charts#oci://}" "$source"
	refused 'sources are not at' "$tree/deploy/release" files "$dir/files" "$image@$digest" "$charts" team/operator
	# A text that deploy/release replaces is missing, or occurs twice.
	local file word
	while read -r file word; do
		sed -i "s|$word|something else|" "$chart/$file"
		refused "^release: $file" files
		cp "deploy/helm/cortecs-operator/$file" "$chart/"
	done <<-'END'
		values.yaml repository: cortecs-operator
		values.yaml runbookUrl: docs/runbook.md
		values.yaml published yet
		README.md.gotmpl published yet
	END
	sed -i 's|deploy/helm/cortecs-operator|./chart|' "$chart/README.md.gotmpl"
	refused 'README.md does not install' files
	cp deploy/helm/cortecs-operator/README.md.gotmpl "$chart/"
	sed -i 's/^### Fixed/### Repaired/' "$tree/CHANGELOG.md"
	refused 'has the heading "repaired"' files
	sed -i 's/^### Repaired/### Fixed/' "$tree/CHANGELOG.md"
	rm -rf "$dir/files"

	files
	package=$dir/files/cortecs-operator-$version.tgz
	expect "the files" "$(find "$dir/files" -type f -printf '%f\n' | sort | paste -sd ' ')" "cortecs-operator-$version.tgz crds.yaml install.yaml"
	need_binaries
	diff <("$binary" crds) "$dir/files/crds.yaml" || fail "crds.yaml is not what the operator prints"
	expect "the changed lines of install.yaml" "$(grep -vxFf deploy/install.yaml "$dir/files/install.yaml")" \
		"          image: $image:$version@$digest"
	expect "the image of the package" "$("$helm3" template x "$package" --show-only templates/deployment.yaml | sed -n 's/^ *image: //p')" \
		"$image:$version"
	expect "where its runbook is" "$("$helm3" template x "$package" --set prometheusRule.enabled=true --api-versions "$monitoring/PrometheusRule" |
		sed -n 's/^ *runbook_url: \(.*\)#.*/\1/p' | sort -u)" "$source/blob/v$version/docs/runbook.md"
	"$helm3" show chart "$package" >"$dir/about"
	grep -qx "      image: $image:$version@$digest" "$dir/about" || fail "the package's annotations do not name the image"
	grep -qx '  artifacthub.io/prerelease: "false"' "$dir/about" || fail "the package takes itself for one before the release"
	expect "the changes" "$(awk '/^  artifacthub.io\/changes: / { on = 1; next } on && !/^    / { exit } on' "$dir/about")" \
		"    - kind: added
      description: 'Much, and what isn''t little.'
    - kind: added
      description: '\`more\`'
    - kind: fixed
      description: 'All.'"
	"$helm3" show readme "$package" >"$dir/readme"
	grep -qF "helm install cortecs-operator $charts/cortecs-operator --version $version " "$dir/readme" || fail "the package's README installs something else"
	grep -qF "\`$image:$version@$digest\`" "$dir/readme" || fail "the package's README does not name the image"
	grep -qF "| \`image.registry\` | string | \`\"images.example\"\` |" "$dir/readme" || fail "the package's README has the tree's values"

	cp -r "$tree" "$dir/before-it"
	(
		cd "$dir/before-it"
		sed -i "s/\b${version//./\\.}\b/$version-rc.1/" Cargo.toml deploy/helm/cortecs-operator/Chart.yaml deploy/kustomize/base/install.yaml CHANGELOG.md
		sed -i "/^name = \"cortecs-operator\"/{ n; s/$version/$version-rc.1/; }" Cargo.lock
		deploy/release files "$dir/candidate" "$image@$digest" "$charts" "$source"
	)
	"$helm3" show chart "$dir/candidate/cortecs-operator-$version-rc.1.tgz" | grep -qx '  artifacthub.io/prerelease: "true"' ||
		fail "the package does not know that it is one before the release"
}
