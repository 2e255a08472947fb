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

package webhooks

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// envSuffix is what the names of two Services differ by when the variables of
// both have one name: the port of foo and the link of foo-service are both
// FOO_SERVICE_PORT.
const envSuffix = "-service"

// checkEnvironment is X14. Pods get both variables in an order that is chance,
// so that FOO_SERVICE_PORT is now 80 and now tcp://10.96.0.7:80.
func checkEnvironment(ctx context.Context, world World, change ServiceChange) ([]Finding, error) {
	if !proxied(change.New) || change.Old != nil && proxied(change.Old) || change.New.Name == "" {
		return nil, nil
	}
	short, long := change.New.Name, change.New.Name+envSuffix
	pairs := [][2]string{{long, short}}
	if cut, ok := strings.CutSuffix(short, envSuffix); ok && cut != "" {
		pairs = append(pairs, [2]string{cut, cut})
	}
	var found []Finding
	for _, pair := range pairs {
		other, err := world.ServiceByName(ctx, types.NamespacedName{Namespace: change.New.Namespace, Name: pair[0]})
		if err != nil {
			return found, err
		}
		if other == nil || !proxied(other) {
			continue
		}
		found = append(found, Finding{Path: field.NewPath("metadata", "name"), Value: change.New.Name, Detail: fmt.Sprintf(
			"%s sets %s_SERVICE_PORT in pods as well, to something else, and which of them a pod gets is chance; give one Service another name",
			world.NameOf(ctx, other), strings.ToUpper(strings.ReplaceAll(pair[1], "-", "_")))})
	}
	return found, nil
}
