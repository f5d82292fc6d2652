# shellcheck shell=bash
# What a release is made of, and the workflows that make it. Read by check.

test_workflows() {
	local actionlint unpinned
	actionlint=$(tests/tools/tools actionlint)
	"$actionlint" || fail "see above"
	unpinned=$(grep -nE '^ *-? *uses: ' .github/workflows/*.yml | grep -vE 'uses: (\./|[^@ ]+@[0-9a-f]{40} # v[0-9.]+$)' || true)
	expect "the actions that are not pinned to a commit" "$unpinned" ''
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
	local tree=$dir/tagged version image digest where registry binary
	mkdir -p "$tree"
	cp -r Cargo.toml Cargo.lock CHANGELOG.md crds deploy "$tree/"
	version=$(deploy/release version)
	deploy/release check

	refused 'CHANGELOG.md says nothing' "$tree/deploy/release" check "v$version"
	sed -i "s/^## \[Unreleased\]/&\n\n## [$version] - 2026-01-02\n\n### Added\n\n- Much.\n\n## [0.0.1]/" "$tree/CHANGELOG.md"
	"$tree/deploy/release" check "v$version"
	expect "the notes" "$("$tree/deploy/release" notes)" $'### Added\n\n- Much.'
	refused 'the tag is v9.9.9' "$tree/deploy/release" check v9.9.9
	refused 'the tag is' "$tree/deploy/release" check "$version"
	refused 'says nothing under' "$tree/deploy/release" notes 9.9.9
	sed -i 's/^appVersion: .*/appVersion: 9.9.9/' "$tree/deploy/helm/cortecs-operator/Chart.yaml"
	refused "Chart.yaml's appVersion is 9.9.9" "$tree/deploy/release" check
	cp deploy/helm/cortecs-operator/Chart.yaml "$tree/deploy/helm/cortecs-operator/"
	sed -i "s/^version = \"$version\"/version = \"9.9.9\"/" "$tree/Cargo.toml"
	refused 'Cargo.lock is' "$tree/deploy/release" check
	cp Cargo.toml "$tree/"

	digest=sha256:$(printf '%064d' 1) image=registry.example/team/cortecs-operator
	refused 'the image is not' "$tree/deploy/release" files "$dir/files" "$image:$version"
	HELM=$helm3 "$tree/deploy/release" files "$dir/files" "$image@$digest"
	expect "the files" "$(find "$dir/files" -type f -printf '%f\n' | sort | paste -sd ' ')" "cortecs-operator-$version.tgz crds.yaml install.yaml"
	need_binary
	diff <("$binary" crds) "$dir/files/crds.yaml" || fail "crds.yaml is not what the operator prints"
	expect "the changed lines of install.yaml" "$(grep -vxFf deploy/install.yaml "$dir/files/install.yaml")" \
		"          image: $image:$version@$digest"
	expect "the image of the package" "$("$helm3" template x "$dir/files/cortecs-operator-$version.tgz" --show-only templates/deployment.yaml | sed -n 's/^ *image: //p')" \
		"$image:$version"

	"$helm3" show chart "$dir/files/cortecs-operator-$version.tgz" | grep -qx "      image: $image:$version@$digest" || fail "the package's annotations do not name the image"

	registry=$(tests/tools/tools registry)
	"$registry" --port 0 >"$dir/registry.log" 2>&1 &
	processes+=($!)
	registry_is_up() { where=$(sed -n 's/.*serving on port /localhost:/p' "$dir/registry.log") && [[ -n $where ]]; }
	until_true "the registry" registry_is_up
	digest=$(HELM=$helm3 PLAIN_HTTP=1 "$tree/deploy/release" push "$dir/files" "oci://$where/charts")
	[[ $digest =~ ^digest=sha256:[0-9a-f]{64}$ ]] || fail "no digest: $digest"
	mkdir "$dir/pulled"
	"$helm4" pull --plain-http "oci://$where/charts/cortecs-operator" --version "$version" --destination "$dir/pulled" >"$dir/pull.log" 2>&1
	grep -q "${digest#digest=}" "$dir/pull.log" || fail "another digest comes back: $(cat "$dir/pull.log")"
	cmp "$dir/pulled/cortecs-operator-$version.tgz" "$dir/files/cortecs-operator-$version.tgz" || fail "another chart comes back"
	refused 'cannot push' env HELM="$helm3" PLAIN_HTTP=1 "$tree/deploy/release" push "$dir/files" "oci://127.0.0.1:1/charts"
	rm -rf "$tree"
}
