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

package localcluster

import (
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// validateZones reports zones that can not be the value of a label.
func validateZones(zones []string) error {
	var errs []error
	for _, zone := range zones {
		problems := validation.IsValidLabelValue(zone)
		if zone == "" {
			problems = []string{"a zone has a name"}
		}
		if len(problems) > 0 {
			errs = append(errs, fmt.Errorf("--zones %q: %s", zone, strings.Join(problems, "; ")))
		}
	}
	return errors.Join(errs...)
}
