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

package validation

import (
	"net"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"
)

// invalid makes an error of each message about a value.
func invalid(path *field.Path, value any, messages []string) field.ErrorList {
	var errs field.ErrorList
	for _, message := range messages {
		errs = append(errs, field.Invalid(path, value, message))
	}
	return errs
}

// oneOf is for a field that must have one of some values, which are listed in
// the order that the server prints them in.
func oneOf[T ~string](path *field.Path, value T, known ...T) field.ErrorList {
	if value == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	return supported(path, value, known...)
}

// supported is oneOf for a value that is known to be set, be it to nothing.
func supported[T ~string](path *field.Path, value T, known ...T) field.ErrorList {
	if !slices.Contains(known, value) {
		return field.ErrorList{field.NotSupported(path, value, known)}
	}
	return nil
}

// validateAddress accepts what the field held before, whatever it is.
func validateAddress(path *field.Path, value string, before []string, opts Options) field.ErrorList {
	return validation.IsValidIPForLegacyField(path, value, !opts.LegacyAddresses, before)
}

func validateCIDR(path *field.Path, value string, before []string, opts Options) field.ErrorList {
	return validation.IsValidCIDRForLegacyField(path, value, !opts.LegacyAddresses, before)
}

// reservedRanges are the addresses that no endpoint may have, and for
// historical reasons no external IP either.
var reservedRanges = []struct {
	has     func(net.IP) bool
	message string
}{
	{net.IP.IsLoopback, "may not be in the loopback range (127.0.0.0/8, ::1/128)"},
	{net.IP.IsLinkLocalUnicast, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"},
	{net.IP.IsLinkLocalMulticast, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"},
}

// validateReserved is the second half of V10.
func validateReserved(path *field.Path, value string) field.ErrorList {
	ip := netutils.ParseIPSloppy(value)
	if ip == nil {
		return field.ErrorList{field.Invalid(path, value, "must be a valid IP address")}
	}
	var errs field.ErrorList
	if ip.IsUnspecified() {
		errs = append(errs, field.Invalid(path, value, "may not be unspecified ("+value+")"))
	}
	for _, reserved := range reservedRanges {
		if reserved.has(ip) {
			errs = append(errs, field.Invalid(path, value, reserved.message))
		}
	}
	return errs
}
