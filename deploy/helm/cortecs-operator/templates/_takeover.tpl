{{/*
Helm 3 takes over an existing object without changing it, and from then on compares only manifests. So a change that the
same installation or upgrade should make to the object would be lost for good. For definitions and accounts, which
outlive a release or are created by a hook, the chart refuses that. Helm 4 applies at the server, which takes over and
changes the object at once.
*/}}

{{/* An annotation of the Deployment: the objects that are already a part of the release. */}}
{{- define "cortecs.owns" -}}
{{- $ids := list }}
{{- if .Values.crds.enabled }}
{{- $ids = append $ids "definitions" }}
{{- end }}
{{- if .Capabilities.APIVersions.Has "cortecs.ai/v1alpha1/CortecsAccount" }}
{{- range (include "cortecs.accounts" . | fromJson).accounts }}
{{- $ids = append $ids (printf "%s.%s" .namespace .name) }}
{{- end }}
{{- end }}
{{- with $ids }}
cortecs.ai/owns: {{ join "," . | quote }}
{{- end }}
{{- end }}

{{/* Fails if Helm 3 would have to take over and change the object: dict "root" $ "apiVersion" "kind" "namespace" "name" "id" "spec". */}}
{{- define "cortecs.takeOver" -}}
{{- $release := .root.Release }}
{{- $deployment := lookup "apps/v1" "Deployment" $release.Namespace (include "cortecs.fullname" .root) | default dict }}
{{- $owned := dig "metadata" "annotations" "cortecs.ai/owns" "" $deployment | splitList "," }}
{{- $live := lookup .apiVersion .kind .namespace .name | default dict }}
{{- $ours := eq (dig "metadata" "annotations" "meta.helm.sh/release-name" "" $live) $release.Name }}
{{- if and $release.IsInstall (semverCompare ">=4.0.0-0" .root.Capabilities.HelmVersion.Version) }}
{{- $ours = false }}
{{- end }}
{{- if and $ours (not (has .id $owned)) }}
{{- range $live.metadata.managedFields }}
{{- if and (eq .manager "helm") (eq .operation "Apply") }}
{{- $ours = false }}
{{- end }}
{{- end }}
{{- $wanted := mergeOverwrite (deepCopy $live.spec) .spec | toJson | fromJson }}
{{- if and $ours (not (deepEqual $wanted ($live.spec | toJson | fromJson))) }}
{{- fail (printf "%s %s exists already, and Helm 3 cannot take it over and change it at once. Install with the chart and the values that it was made with, then upgrade; or change it with kubectl first" .kind .name) }}
{{- end }}
{{- end }}
{{- end }}
