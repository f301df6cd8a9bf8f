{{/* Selectors of the server pods, as their operators label them. */}}
{{- define "saras.serverPods" -}}
{{- if eq .server "postgresql" }}
cnpg.io/cluster: {{ .root.Release.Name }}-postgresql
{{- else if eq .server "rabbitmq" }}
app.kubernetes.io/name: {{ .root.Release.Name }}-rabbitmq
{{- else if eq .server "redis" }}
app: {{ .root.Release.Name }}-redis
{{- end }}
{{- end }}

{{- define "saras.serverPort" -}}
{{- $external := (index .root.Values .server).external }}
{{- if (index .root.Values .server).operator.enabled }}{{ index (dict "postgresql" 5432 "rabbitmq" 5672 "redis" 6379) .server }}{{ else }}{{ $external.port }}{{ end }}
{{- end }}

{{- define "saras.dnsEgress" -}}
- to:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}
  ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end }}

{{- define "saras.serverEgress" -}}
{{- $server := index .root.Values .server }}
- to:
    {{- if $server.operator.enabled }}
    - podSelector:
        matchLabels: {{- include "saras.serverPods" . | nindent 10 }}
    {{- else }}
    - ipBlock: {cidr: {{ required (printf "%s.external.cidr" .server) $server.external.cidr }}}
    {{- end }}
  ports:
    - {port: {{ include "saras.serverPort" . }}, protocol: TCP}
{{- end }}

{{- define "saras.podPeer" -}}
- podSelector:
    matchLabels:
      app.kubernetes.io/instance: {{ .root.Release.Name }}
      app.kubernetes.io/name: {{ .name }}
{{- end }}
