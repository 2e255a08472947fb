/*
Copyright The Switchyard Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package bugreport

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// hunter is what must not be left of a text.
const hunter = "hunter2-7f3a"

const (
	privateKey  = "-----BEGIN RSA PRIVATE KEY-----\nMIIEhunter2-7f3aAAKCAQEA\nq83vEg==\n-----END RSA PRIVATE KEY-----"
	certificate = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUQ2VydGlmaWNhdGU\n-----END CERTIFICATE-----"
	jwt         = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.eyJzdWIiOiJodW50ZXIyIn0.hunter2-7f3aabcdefgh"
)

func wrapped(text string) string {
	encoded := base64.StdEncoding.EncodeToString([]byte(text))
	var lines []string
	for len(encoded) > 64 {
		lines, encoded = append(lines, encoded[:64]), encoded[64:]
	}
	return strings.Join(append(lines, encoded), "\n")
}

// stamped is a log as the kubelet gives it.
func stamped(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = fmt.Sprintf("2026-11-22T06:47:%02d.12345678%dZ %s", i, i%10, lines[i])
	}
	return strings.Join(lines, "\n")
}

// keyBody are the lines of a key, the last of which may be short.
const keyBody = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n" +
	"MzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDuictGeurT8jNbvJZHtCSuYEvu\nEg=="

func quotedTwice(text string) string {
	once, _ := json.Marshal(map[string]string{"password": text})
	twice, _ := json.Marshal(string(once))
	return string(twice)
}

func TestSecretsAreTakenOut(t *testing.T) {
	basic := base64.StdEncoding.EncodeToString([]byte("admin:" + hunter))
	for name, tc := range map[string]struct{ text, secret, stays string }{
		"a private key":                  {"key:\n" + privateKey + "\nnext: line", hunter, "next: line"},
		"a private key in JSON":          {`{"tls":"` + strings.ReplaceAll(privateKey, "\n", `\n`) + `","next":1}`, hunter, `"next":1`},
		"a key that is cut off":          {"before " + privateKey[:60], "MIIEhunter2", "before"},
		"a key whose beginning is gone":  {"MIIEhunter27f3aAAKCAQEA\nq83vEjE0NTY=\n-----END PRIVATE KEY-----\nnext", "MIIEhunter2", "next"},
		"a key in a log":                 {stamped("next\n-----BEGIN PRIVATE KEY-----\n" + keyBody + "\n-----END PRIVATE KEY-----\nlast"), "MIIEv", "last"},
		"the middle of one in a log":     {stamped("-----BEGIN PRIVATE KEY-----\n" + keyBody + "\n-----END PRIVATE KEY-----\nlast"), "MzEfYyji", "last"},
		"one whose beginning is gone":    {stamped(keyBody + "\n-----END RSA PRIVATE KEY-----\nlast"), "MIIEv", "last"},
		"the middle of such a one":       {stamped(keyBody + "\n-----END RSA PRIVATE KEY-----\nlast"), "MzEfYyji", "2026-11-22T06:47:04"},
		"one of one short line":          {stamped("Eg==\n-----END PRIVATE KEY-----\nlast"), "Eg==", "last"},
		"one whose end is gone":          {stamped("first\n-----BEGIN EC PRIVATE KEY-----\n" + keyBody), "MIIEv", "first"},
		"the middle of one without end":  {stamped("first\n-----BEGIN EC PRIVATE KEY-----\n" + keyBody), "MzEfYyji", "first"},
		"one in a log with an offset":    {strings.ReplaceAll(stamped(keyBody+"\n-----END PRIVATE KEY-----\nlast"), "Z ", "+01:00 "), "MIIEv", "last"},
		"a key in base64 in a log":       {stamped("x:\n" + wrapped(strings.Repeat(privateKey, 3)) + "\nlast: 1"), wrapped(strings.Repeat(privateKey, 3))[100:120], "last: 1"},
		"a variable in YAML in a log":    {stamped("env:\n- name: DB_PASSWORD\n  value: " + hunter + "\n- name: PORT\n  value: 80"), hunter, "value: 80"},
		"a block of YAML in a log":       {stamped("password: |\n  a\n  " + hunter + "\nport: 80"), hunter, "port: 80"},
		"an OpenSSH key":                 {"-----BEGIN OPENSSH PRIVATE KEY-----\n" + hunter + "\n-----END OPENSSH PRIVATE KEY-----", hunter, ""},
		"a key in base64":                {"data: " + base64.StdEncoding.EncodeToString([]byte(privateKey)), base64.StdEncoding.EncodeToString([]byte(privateKey))[30:60], "data:"},
		"a key in lines of base64":       {"x:\n" + wrapped(strings.Repeat(privateKey, 3)), wrapped(strings.Repeat(privateKey, 3))[100:120], "x:"},
		"a key behind a path":            {"/a/b/" + base64.StdEncoding.EncodeToString([]byte(privateKey)), base64.StdEncoding.EncodeToString([]byte(privateKey))[30:60], ""},
		"a service account's token":      {"sent " + jwt + " to it", hunter, "to it"},
		"a token in base64":              {"tok: " + base64.StdEncoding.EncodeToString([]byte(jwt)), base64.StdEncoding.EncodeToString([]byte(jwt))[20:60], "tok:"},
		"a header":                       {"GET /\nAuthorization: Custom " + hunter + "\nHost: a", hunter, "Host: a"},
		"a header in Go":                 {`map[Authorization:[Bearer ` + hunter + `] Accept:[*/*]]`, hunter, "Accept:[*/*]"},
		"a header in JSON":               {`{"authorization":"x ` + hunter + `","host":"a"}`, hunter, `"host":"a"`},
		"a header of a proxy":            {"Proxy-Authorization: NTLM " + hunter, hunter, "Proxy-Authorization"},
		"a cookie":                       {"Set-Cookie: a=" + hunter + "; Path=/", hunter, "Set-Cookie"},
		"an API key's header":            {"X-Api-Key: " + hunter, hunter, "X-Api-Key"},
		"a bearer token in prose":        {"tried bearer " + hunter + " and failed", hunter, "and failed"},
		"basic credentials":              {"curl -H basic " + basic, basic, "curl"},
		"a URL with a password":          {"https://admin:" + hunter + "@example.com/path", hunter, "@example.com/path"},
		"a URL with a token":             {"git clone https://" + hunter + "@example.com/x", hunter, "@example.com/x"},
		"a database's URL":               {"postgres://u:p%40" + hunter + "@db:5432/a?sslmode=off", hunter, "sslmode=off"},
		"an environment variable":        {"DB_PASSWORD=" + hunter + " PORT=80", hunter, "PORT=80"},
		"one in quotes":                  {`MYSQL_ROOT_PASSWORD="` + hunter + ` with words" next`, hunter, "next"},
		"one in JSON":                    {`{"clientSecret":"` + hunter + `","port":80}`, hunter, `"port":80`},
		"one with a quote in it":         {`{"clientSecret":"a\"` + hunter + `","port":80}`, hunter, `"port":80`},
		"one in JSON within JSON":        {quotedTwice(hunter), hunter, "password"},
		"one in YAML":                    {"apiKey: " + hunter + "\nport: 80", hunter, "port: 80"},
		"a variable of a container":      {`[{"name":"DB_PASSWORD","value":"` + hunter + `"},{"name":"PORT","value":"80"}]`, hunter, `"80"`},
		"a variable in YAML":             {"env:\n- name: DB_PASSWORD\n  value: " + hunter + "\n- name: PORT\n  value: 80", hunter, "value: 80"},
		"a block of YAML":                {"password: |\n  a\n  " + hunter + "\nport: 80", hunter, "port: 80"},
		"a flag":                         {"run --db-password=" + hunter + " --v=2", hunter, "--v=2"},
		"a flag and its value":           {"run --token " + hunter + " --v=2", hunter, "--v=2"},
		"a query":                        {"GET /?a=b&access_token=" + hunter + "&c=d", hunter, "&c=d"},
		"a hash of Ruby":                 {":password => '" + hunter + "'", hunter, ""},
		"a short name":                   {"user=a pass=" + hunter, hunter, "user=a"},
		"a number":                       {"password=123456", "123456", "password"},
		"a cloud's key":                  {"id AKIAIOSFODNN7EXAMPLE used", "AKIAIOSFODNN7EXAMPLE", "used"},
		"a forge's token":                {"ghp_abcdefghijklmnopqrstuvwxyz0123456789", "ghp_abcdefghijklmnop", ""},
		"a bootstrap token":              {"join 07401b.f395accd246ae52d now", "f395accd246ae52d", "now"},
		"an annotation of kubectl's":     {`{"annotations":{"last":"{\"data\":{\"token\":\"` + hunter + `\"}}"}}`, hunter, "annotations"},
		"upper case and a dash":          {"API-KEY: " + hunter, hunter, "API-KEY"},
		"a list of arguments":            {`args: ["--token", "` + hunter + `", "--v=2"]`, hunter, "--v=2"},
		"arguments in Go":                {`run ["--token" "` + hunter + `" "--v=2"]`, hunter, "--v=2"},
		"arguments in JSON":              {`{"args":["--db-pass","` + hunter + `","--v=2"]}`, hunter, "--v=2"},
		"a header among arguments":       {`{"args":["-H","X-Key: ` + hunter + `","--v=2"]}`, hunter, "--v=2"},
		"a list in JSON":                 {`{"passwords":["a","` + hunter + `"],"port":80}`, hunter, `"port":80`},
		"a list in JSON in a log":        {stamped(`INFO login {"passwords":["a","` + hunter + `"],"port":80}` + "\nlast"), hunter, `"port":80`},
		"an object in JSON":              {`{"password" : {"value": "` + hunter + `"}, "port":80}`, hunter, `"port":80`},
		"an object in what is no JSON":   {`x {"password": {"value": "` + hunter + `"}, "port": `, hunter, "x"},
		"a list of Go":                   {"map[password:[" + hunter + "] port:80]", hunter, "port:80"},
		"a list of YAML":                 {"passwords:\n- a\n- " + hunter + "\nport: 80", hunter, "port: 80"},
		"on the next line":               {"password:\n  " + hunter + "\nport: 80", hunter, "port: 80"},
		"on the next line of a log":      {stamped("password:\n  " + hunter + "\nport: 80"), hunter, "port: 80"},
		"several words":                  {"password: correct horse " + hunter + "\nport: 80", hunter, "port: 80"},
		"with a comma":                   {"PASSWORD=a," + hunter + " next", hunter, "next"},
		"an @ in a password":             {"https://user:p@" + hunter + "@example.com/path", hunter, "@example.com/path"},
		"a slash in a password":          {"postgres://user:hun/" + hunter + "@db/x", hunter, "@db/x"},
		"credentials of a registry":      {`{"auths":{"registry":{"auth":"` + basic + `"}}}`, basic, "registry"},
		"the same in YAML":               {"auth: " + basic, basic, "auth"},
		"behind an underscore":           {"DB_PASS=" + hunter + " port=80", hunter, "port=80"},
		"in camel case":                  {`{"dbPass":"` + hunter + `"}`, hunter, "dbPass"},
		"in camel case in text":          {"--set adminPw=" + hunter + " next", hunter, "next"},
		"a password of a routing daemon": {"neighbor 10.0.0.1 password " + hunter + "\nnext", hunter, "neighbor 10.0.0.1"},
		"one of another":                 {"password \"" + hunter + "\";", hunter, ";"},
		"a flag with quotes":             {`--token "` + hunter + `" next`, hunter, "next"},
		"a user of curl":                 {"curl -u admin:" + hunter + " https://a/", hunter, "https://a/"},
		"a header of a probe":            {`{"httpHeaders":[{"name":"X-Api-Key","value":"` + hunter + `"}]}`, hunter, "X-Api-Key"},
		"a master key":                   {"MASTER_KEY=" + hunter, hunter, "MASTER_KEY"},
		"a pre-shared key":               {"psk=" + hunter + " x=1", hunter, "x=1"},
		"a signature of a query":         {"GET /?a=b&sig=" + hunter + "&c=d", hunter, "&c=d"},
		"an amount that is a password":   {`{"api_key":12345678}`, "12345678", "api_key"},
		"a token of Vault":               {"got hvs.CAESIJhunter27f3aAbCdEf now", "hunter2", "now"},
		"a hook":                         {"https://hooks.slack.com/services/T0/B0/" + hunter, hunter, ""},
		"within what is called a name":   {"secretName: password=" + hunter, hunter, "secretName"},
		"an object of its own behind it": {`token: {"a":"` + hunter + `"}`, hunter, "token"},
		"several on a line":              {"password=" + hunter + ",secret=" + hunter + ",a=b", hunter, "a=b"},
		"a structured log of key=values": {`level=info msg="login" passwd=` + hunter + ` user=bob`, hunter, "user=bob"},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(tc.text, tc.secret) {
				t.Fatalf("the test has no secret: %s", tc.text)
			}
			got := Redact(tc.text)
			if strings.Contains(got, tc.secret) {
				t.Errorf("it is left in %q", got)
			}
			if !strings.Contains(got, tc.stays) {
				t.Errorf("%q is lost of %q", tc.stays, got)
			}
			if again := Redact(got); again != got {
				t.Errorf("a second time makes %q of %q", again, got)
			}
		})
	}
}

func TestWhatIsNoSecretStays(t *testing.T) {
	for _, text := range []string{
		"", "plain text", certificate, "caBundle: " + base64.StdEncoding.EncodeToString([]byte(certificate)),
		stamped("first\n" + certificate + "\n  indented\nlast"), `"automountServiceAccountToken": false`, "https://example.com:8443/a?b=c", "basic authentication failed",
		"allocating ClusterIP for default/web: range is full", "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
		"10.96.0.1 fd00:10:96::a", "2026-11-22T06:47:08.123456Z", `{"letPass": 12, "bypass": 3}`,
		"kubeproxy_sync_proxy_rules_duration_seconds_bucket{ip_family=\"IPv4\",le=\"0.001\"} 12",
		"creating Secret switchyard-system/switchyard-webhook-server-cert: not found",
		`{"secretName": "switchyard-webhook-server-cert", "tokenExpirationSeconds": 3600, "automountServiceAccountToken": false}`,
		`{"volumes":[{"secret":{"secretName":"a","defaultMode":420}}],"imagePullSecrets":[{"name":"a"}],"secretKeyRef":{"name":"a","key":"b"}}`,
		"secretName: switchyard-webhook-server-cert", "https://registry.example.com:5000/@scope/pkg",
	} {
		if got := Redact(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func TestADocumentStaysOne(t *testing.T) {
	for _, text := range []string{
		`{"a":{"password":"x","token":null,"secrets":["b"],"secret":{"c":"d"}},"authorization":"Bearer abcdefgh","n":"` + quotedInner + `"}`,
		`{"api_key":12345678,"tokenExpirationSeconds":3600}`, `{"a":"-----BEGIN PRIVATE KEY-----","b":"c"}`,
		`{"args":["-H","X-Key: v","--token","x"]}`, "[\n {\n \"name\": \"DB_PASSWORD\",\n \"value\": \"x\"\n }\n]\n",
	} {
		got := Redact(text)
		if !json.Valid([]byte(text)) || !json.Valid([]byte(got)) {
			t.Errorf("%s became %s", text, got)
		}
		if inLog := Redact("2026-11-22T06:47:08Z " + strings.ReplaceAll(text, "\n", "")); !json.Valid([]byte(inLog[21:])) {
			t.Errorf("in a log %s became %s", text, inLog)
		}
	}
}

const quotedInner = `{\"password\":\"x\",\"b\":1}`

// Whatever stands around a secret, it does not come through, and no text breaks it.
func FuzzRedact(f *testing.F) {
	f.Add("a ", " b", uint8(0))
	f.Add(`{"x":"`, `"}`, uint8(3))
	f.Add("\n", "\x00\xff", uint8(6))
	forms := []func(string) string{
		func(s string) string { return "password=" + s },
		func(s string) string { return "Bearer " + s },
		func(s string) string { return "https://u:" + s + "@h/" },
		func(string) string { return jwt },
		func(string) string { return privateKey },
		func(s string) string { return "\nAuthorization: x" + s },
		func(s string) string { return "--token " + s },
		func(s string) string { return `"api_key":"` + s + `"` },
		func(string) string { return "\n" + stamped(privateKey) },
		func(s string) string { return "https://u:p@" + s + "@h/" },
		func(s string) string { return "\npasswords:\n- " + s + "\n" },
		func(s string) string { return "\npassword: a b " + s + "\n" },
		func(s string) string { return "DB_PASS=" + s },
	}
	f.Fuzz(func(t *testing.T, before, after string, form uint8) {
		chosen := int(form) % len(forms)
		secret := forms[chosen](hunter)
		// A word that touches the form changes what it says.
		text := before + " " + secret + " " + after
		if strings.Contains(before+after, hunter) || strings.ContainsAny(before, `"'\`) && (chosen == 6 || chosen == 7) {
			return
		}
		if got := Redact(text); strings.Contains(got, hunter) {
			t.Errorf("%q became %q", text, got)
		}
	})
}

// Whatever a document has, it stays one, and keeps no secret that its names tell of.
func FuzzRedactDocument(f *testing.F) {
	f.Add("a", "b", `{"x":[1,"y"]}`)
	f.Add("name", "-----BEGIN PRIVATE KEY-----", `"z"`)
	f.Add("secret", `{"password":"`, `[]`)
	f.Fuzz(func(t *testing.T, key, text, inner string) {
		if strings.Contains(key+text+inner, hunter) {
			return
		}
		var any json.RawMessage = []byte(`null`)
		if json.Valid([]byte(inner)) {
			any = []byte(inner)
		}
		document, err := json.Marshal(map[string]map[string]json.RawMessage{"outer": {
			key: any, "text": quotedJSON(text), "password": quotedJSON(hunter), "tokens": []byte(`[` + string(quotedJSON(hunter)) + `]`),
			"apiKey": []byte(`{"value":` + string(quotedJSON(hunter)) + `,"n":7}`), "args": []byte(`["--token",` + string(quotedJSON(hunter)) + `]`),
			"env": []byte(`[{"name":"DB_PASS","value":` + string(quotedJSON(hunter)) + `}]`), "log": quotedJSON("login password=" + hunter),
		}})
		if err != nil {
			t.Fatal(err) // all of it is JSON
		}
		got := Redact(string(document))
		if !json.Valid([]byte(got)) {
			t.Errorf("%s is no document any more: %s", document, got)
		}
		// A key that is one of ours takes its place.
		if strings.Contains(got, hunter) {
			t.Errorf("%s became %s", document, got)
		}
	})
}

func quotedJSON(text string) json.RawMessage {
	out, _ := json.Marshal(text)
	return out
}
