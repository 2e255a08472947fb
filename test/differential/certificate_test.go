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

package differential

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/config"
	"k8s.io/apiserver/pkg/apis/apiserver/install"
	"k8s.io/apiserver/pkg/util/webhook"

	"switchyard.dev/switchyard/test/docs/page"
)

// TestWhichCertificateAnAPIServerShows has the API server's own code read the files
// that docs/admission.md has for it.
func TestWhichCertificateAnAPIServerShows(t *testing.T) {
	dir := t.TempDir()
	given := page.RunBy(t, "docs/admission.md")
	files := map[string]string{}
	for _, name := range []string{"configuration", "kubeconfig"} {
		files[name] = filepath.Join(dir, name)
		text := strings.ReplaceAll(given.Next(t).Text(), "/etc/kubernetes/admission", dir)
		if err := os.WriteFile(files[name], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	scheme := runtime.NewScheme()
	install.Install(scheme)
	plugins := []string{"MutatingAdmissionWebhook", "ValidatingAdmissionWebhook"}
	provider, err := admission.ReadAdmissionConfiguration(plugins, files["configuration"], scheme)
	if err != nil {
		t.Fatal(err)
	}
	for _, plugin := range plugins {
		text, err := provider.ConfigFor(plugin)
		if err != nil {
			t.Fatal(err)
		}
		read, err := config.LoadConfig(text)
		if err != nil || read.KubeConfigFile != files["kubeconfig"] {
			t.Fatalf("%s reads %+v, %v", plugin, read, err)
		}
		resolver, err := webhook.NewDefaultAuthenticationInfoResolver(read.KubeConfigFile)
		if err != nil {
			t.Fatal(err)
		}
		for service, want := range map[string]string{"switchyard-webhook-service": filepath.Join(dir, "client.crt"), "another": ""} {
			client, err := resolver.ClientConfigForService(service, "switchyard-system", 443)
			if err != nil || client.CertFile != want {
				t.Errorf("%s shows %s the certificate %q, want %q: %v", plugin, service, client.CertFile, want, err)
			}
		}
	}
}
