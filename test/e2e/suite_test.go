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

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"switchyard.dev/switchyard/internal/demo"
	"switchyard.dev/switchyard/test/prereq"
	"switchyard.dev/switchyard/test/testenv"
)

// cluster and bed are shared by the tests of the package, in their order.
var (
	cluster *demo.Cluster
	bed     *demo.Bed
)

// needCluster starts the cluster for the first test that needs it.
func needCluster(t *testing.T) {
	t.Helper()
	prereq.Root(t)
	if bed != nil {
		return
	}
	var err error
	cluster, err = demo.StartCluster(context.Background(), switchyard(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	if bed, err = cluster.Bed(); err != nil {
		t.Fatal(err)
	}
	bed.Patience = patience
	if err := bed.ApplySamples(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func switchyard() string { return filepath.Join(testenv.Root(), "bin", "switchyard") }

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard()) // clients of controller-runtime ask for one
	code := m.Run()
	if cluster != nil {
		if err := cluster.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}
