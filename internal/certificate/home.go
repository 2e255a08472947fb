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

package certificate

import (
	"crypto/x509"
	"crypto/x509/pkix"
)

// Home is the namespace of an installation. One that is deleted and made again is
// another: all that ran in it and its Secret went with it, which can not be said
// of what webhook configurations trust, as they are in no namespace.
type Home struct {
	// Namespace is its name.
	Namespace string
	// UID is empty where the namespace does not exist.
	UID string
}

// name writes the home into the subject of an authority.
func (h Home) name(subject *pkix.Name) {
	if h.UID != "" {
		subject.OrganizationalUnit, subject.SerialNumber = []string{h.Namespace}, h.UID
	}
}

// strange tells whether an authority was made in another home, so that nobody in this
// one serves what it signed unless somebody has brought it along in the Secret. Those of
// versions before do not say where they were made.
func (h Home) strange(cert *x509.Certificate) bool {
	made := cert.Subject.SerialNumber
	return isOurAuthority(cert) && h.UID != "" && made != "" && made != h.UID
}

// served are those that are not strange.
func (h Home) served(all []*x509.Certificate) (served []*x509.Certificate) {
	for _, cert := range all {
		if !h.strange(cert) {
			served = append(served, cert)
		}
	}
	return served
}

// others are the namespaces of installations, other than this one, that made
// authorities.
func (h Home) others(all []*x509.Certificate) (namespaces []string) {
	for _, cert := range all {
		if unit := cert.Subject.OrganizationalUnit; h.strange(cert) && len(unit) == 1 && unit[0] != h.Namespace {
			namespaces = append(namespaces, unit[0])
		}
	}
	return namespaces
}

func isOurAuthority(cert *x509.Certificate) bool { return cert.Subject.CommonName == authorityName }
