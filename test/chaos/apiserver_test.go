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

package chaos

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"switchyard.dev/switchyard/test/testenv"
)

// each is how long a disturbance goes on.
var each = flag.Duration("each", 4*time.Second, "how long each disturbance goes on")

// server is shared by the tests of the package.
var server struct {
	environment *envtest.Environment
	config      *rest.Config
}

func apiServer(t *testing.T) *rest.Config {
	t.Helper()
	if server.config != nil {
		return server.config
	}
	env := must(testenv.New())(t)
	env.ControlPlane.GetAPIServer().Configure().Set("service-cluster-ip-range", "10.96.0.0/16,fd00:10:96::/112")
	server.environment = env
	server.config = must(env.Start())(t)
	// The disturbances must be the only thing that slows the tests down.
	server.config.QPS, server.config.Burst = -1, -1
	return server.config
}

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if server.environment != nil {
		if err := server.environment.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	os.Exit(code)
}

// writeKubeconfig is config for a client that reaches the server at url.
func writeKubeconfig(t *testing.T, config *rest.Config, url string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	kc := clientcmdapi.NewConfig()
	kc.Clusters["chaos"] = &clientcmdapi.Cluster{Server: url, CertificateAuthorityData: config.CAData}
	kc.AuthInfos["chaos"] = &clientcmdapi.AuthInfo{ClientCertificateData: config.CertData, ClientKeyData: config.KeyData}
	kc.Contexts["chaos"] = &clientcmdapi.Context{Cluster: "chaos", AuthInfo: "chaos"}
	kc.CurrentContext = "chaos"
	if err := clientcmd.WriteToFile(*kc, path); err != nil {
		t.Fatal(err)
	}
	return path
}
