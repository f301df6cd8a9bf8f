{{- define "saras.image" -}}
{{ .root.Values.image.registry }}{{ .name }}:{{ .root.Values.image.tag }}
{{- end }}

{{- define "saras.package" -}}
{{ replace "-" "_" . }}
{{- end }}

{{- define "saras.labels" -}}
app.kubernetes.io/part-of: saras
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{ include "saras.selector" . }}
{{- end }}

{{- define "saras.selector" -}}
app.kubernetes.io/name: {{ .name }}
{{- with .process }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "saras.secretName" -}}
{{ index .root.Values.secrets.existing .name | default (printf "%s-%s" .root.Release.Name .name) }}
{{- end }}

{{- define "saras.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "saras.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "saras.postgresqlHost" -}}
{{- if .Values.postgresql.operator.enabled }}{{ .Release.Name }}-postgresql-rw{{ else }}{{ required "postgresql.external.host" .Values.postgresql.external.host }}{{ end }}
{{- end }}

{{- define "saras.postgresqlPort" -}}
{{- if .Values.postgresql.operator.enabled }}5432{{ else }}{{ .Values.postgresql.external.port }}{{ end }}
{{- end }}

{{- define "saras.redisHost" -}}
{{- if .Values.redis.operator.enabled }}{{ .Release.Name }}-redis{{ else }}{{ required "redis.external.host" .Values.redis.external.host }}{{ end }}
{{- end }}

{{- define "saras.redisPort" -}}
{{- if .Values.redis.operator.enabled }}6379{{ else }}{{ .Values.redis.external.port }}{{ end }}
{{- end }}

{{- define "saras.examplePassword" -}}
example-only-{{ . }}
{{- end }}

{{/* Secrets of a service as name: value lines, for the sandbox alone. */}}
{{- define "saras.exampleSecrets" -}}
{{- $root := .root }}
{{- $package := include "saras.package" .name }}
{{- if has "postgresql" .service.backends }}
DATABASE_URL: postgresql://{{ $package }}:{{ include "saras.examplePassword" $package }}@{{ include "saras.postgresqlHost" $root }}:{{ include "saras.postgresqlPort" $root }}/saras
{{- end }}
{{- if and (has "rabbitmq" .service.backends) (not $root.Values.rabbitmq.operator.enabled) }}
BROKER_URL: amqp://saras:{{ include "saras.examplePassword" "rabbitmq" }}@{{ required "rabbitmq.external.host" $root.Values.rabbitmq.external.host }}:{{ $root.Values.rabbitmq.external.port }}/%2F
{{- end }}
{{- if has "redis" .service.backends }}
REDIS_URL: redis://:{{ include "saras.examplePassword" "redis" }}@{{ include "saras.redisHost" $root }}:{{ include "saras.redisPort" $root }}/0
{{- end }}
INTERNAL_TOKEN_KEY: example-only-key-of-the-tokens-services-show-one-another
{{- if eq .name "user-service" }}
USER_DATA_KEYS: {{ "example-only-data-key-of-32-byte" | b64enc }}
SARAS_ADMIN_PASSWORD: example-only-administrator
{{- end }}
{{- if eq .name "trade-executor" }}
EXECUTOR_TOKEN_KEY: {{ "example-only-token-key-of-32-byt" | b64enc }}
KITE_ACCOUNTS: main:sandbox:sandbox-secret
{{- end }}
{{- if eq .name "notification-service" }}
NOTIFY_WEBHOOK_KEY: example-only-master-key-of-webhook-secrets
{{- end }}
{{- end }}
