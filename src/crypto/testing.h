#pragma once

// For tests of this folder and of those above it: a key that everybody knows.

#include <string_view>

namespace entrepot::crypto::testing {

/// The RSA key of RFC 7515, appendix A.2, as PKCS#8.
inline constexpr std::string_view kPublishedKey = R"(-----BEGIN PRIVATE KEY-----
MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCh+BYK4uPJtGXO
jS1lYmM2K5J9vinh8CR3/BYlzJChNuOL2TSXxbbqY913EeZ8dCn5VrD7io8ImtxL
aYk8wTM/U+3QGbh3hCUv7JFP5IV3aVlL6kKA0ywPVb9ilE8TA5a8bpvfbr3SvaNn
juygxmj3AbONv/s4yDQs4v5tJ/reSlpIdJed1LnPmt7Ex1sFhSwsD174pcF1A5L5
ROjtZMEQxrZHYJqkeDrrnGya11UxMFBji4NmXG9veoKjlnAqH2QbgtPr8jkiGUkf
toaHLFcW9Qr4NY2ai50Xw0Byj3+H2JoY2PyrZ62EWQwuz3WTOTY8BwNNb2BvniHg
VFbK5emhAgMBAAECggEAEq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyW
PEAeP88vLNO97IjlA7/GQ5sLKMgvfTeXZx9SE+7YwVol2NXOoAJe46sui395IW/G
O+pWJ1O0BkTGoVEn2bKVRUCgu+GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzj
kn439X0M/V51gfpRLI9JYanrC4D4qAdGcopV/0ZHHzQlBjudU2QvXt4ehNYTCBr6
XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl/x/jTj3ccPDVZFD9pIuhLhBOneufuBiB
4cS98l2SR/RQyGWSeWjnczT0QU91p1DhOVRuOopznQKBgQDgHMQQ60imZV1URk0K
pLttoLhyt3SmqdEf/kgHePDdtzEafpAu+cS191R2JiuoF2yzWXnwFDcqGigp5BNr
0AHQfD8/Lk8l1Mk09jxxCfui5nYooNyac8YFjm3vItzVCVDnEd3BbVWG8qf6deqE
lMGAg+C2V0L4oNXnP7LZcPAZRwKBgQC5A8R+CZW2MvRTLLHzwZkUXV866cff7tx6
kqa0finGG0KgeqlaZPxgCZnFp7AeAcCMtiynVlJ7vMVgePsLq6XtON4tB5kP9jAP
rq3rbAOal78eUH5OcED6eNuCV8ixEu1eWcPNCS/l1OW1EnXUEoEHKl54Xrrz2uNw
kgMTP1FZ1wKBgAcCn1dwJKufzBWQxWQp1vsM5fggqPN1qGb5y0MAk3g7/Ls5bkUp
5u9SN0Ai3Ya6hNnvWJMb7sXQX6U/zyO2M/hTip7tUeh7CXgwo59dkpN75gJLVds2
9+DAncu3KXU4f2Fa+7bLNrur53k8KwPOq2bbuTG69QtV7Jr5MR0AHWKNAoGBAIf/
evpitUf+4JYbLpvNXWcY052Mpz22aR84mY3nh3F2LF2mjMJDpTg7FmuyPcVw6EcG
yoAe9fa65iNqCq+jdw6PVNGo2hxfjSiZ8IIzHdsPXI89//pMjZcQK9r+CCoRjaZj
OYiIDktVWZzmevJuv6WywUqd57LE3Zar3dLSIkx1AoGAIYd7DHOhrWvxkwPQsRM2
tOgrjbcrfvtQJipd+DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd/QJQ3
ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp/gh6A56
03k2+ZQwVK0JKSHuLFkuQ3U=
-----END PRIVATE KEY-----
)";

/// The fingerprint of its public half, as `openssl md5 -c` gave it, and a profile of Oracle's tools
/// that names it.
inline constexpr std::string_view kPublishedFingerprint =
    "84:2f:04:4a:e9:15:e3:62:09:c5:a7:2e:1e:98:3b:72";
inline constexpr std::string_view kOciConfig =
    "[DEFAULT]\n"
    "user=ocid1.user.oc1..bbbb\n"
    "fingerprint=84:2f:04:4a:e9:15:e3:62:09:c5:a7:2e:1e:98:3b:72\n"
    "tenancy=ocid1.tenancy.oc1..aaaa\n"
    "region=eu-frankfurt-1\n"
    "key_file=/keys/oci.pem\n";

/// A certificate of that key, made with `openssl req -x509`, and its thumbprint as
/// `openssl x509 -outform DER | openssl dgst -sha256` gave it, in base64url.
inline constexpr std::string_view kPublishedKeysCertificate = R"(-----BEGIN CERTIFICATE-----
MIIDEzCCAfugAwIBAgIUfFCTJZzh2ng+OtiMzhkLJs0AatEwDQYJKoZIhvcNAQEL
BQAwGDEWMBQGA1UEAwwNZW50cmVwb3QtdGVzdDAgFw0yNjExMjMwNzU4MTVaGA8y
MTI2MTAzMDA3NTgxNVowGDEWMBQGA1UEAwwNZW50cmVwb3QtdGVzdDCCASIwDQYJ
KoZIhvcNAQEBBQADggEPADCCAQoCggEBAKH4Fgri48m0Zc6NLWViYzYrkn2+KeHw
JHf8FiXMkKE244vZNJfFtupj3XcR5nx0KflWsPuKjwia3EtpiTzBMz9T7dAZuHeE
JS/skU/khXdpWUvqQoDTLA9Vv2KUTxMDlrxum99uvdK9o2eO7KDGaPcBs42/+zjI
NCzi/m0n+t5KWkh0l53Uuc+a3sTHWwWFLCwPXvilwXUDkvlE6O1kwRDGtkdgmqR4
OuucbJrXVTEwUGOLg2Zcb296gqOWcCofZBuC0+vyOSIZSR+2hocsVxb1Cvg1jZqL
nRfDQHKPf4fYmhjY/KtnrYRZDC7PdZM5NjwHA01vYG+eIeBUVsrl6aECAwEAAaNT
MFEwHQYDVR0OBBYEFDMYiI+nv4OQzd7TXVSJ6VFjGdrZMB8GA1UdIwQYMBaAFDMY
iI+nv4OQzd7TXVSJ6VFjGdrZMA8GA1UdEwEB/wQFMAMBAf8wDQYJKoZIhvcNAQEL
BQADggEBAGxIYJ/OgFWZAIrQVLIYiYC82NOxGQWg/rNxIclv1cpKU2qfoMp03j+c
UVr/2XHa9T+VV2R4u+sg6MzSCB+oGurVUC5mnq1tx904XGvvIUhpePTjn5Kwypgy
o2VDsmxLw2ERxonYLEUsiuYAjrDEJncmTBfolUBjUmN3LLfVinWjWE2ZCWaQxfFq
fPBscpne1MDJr53Baasw1QkQPshSbTQ9Gk9HNyXMh9QhSzCd7N6cMLXANNttAVc5
uZVlgNLuOta5njBwGCZR3B86YFtK9cHDAHgWTz9sefPzbpstZS7JzWPAOHa8CoVm
XyCDedTUj1BwKu72sOVAEu4851BKUDw=
-----END CERTIFICATE-----
)";
inline constexpr std::string_view kCertificateThumbprint =
    "h_tl3t37gC1AjQAzD23Bk9Cp21rjxoR1_LLOKI3W-R0";

}  // namespace entrepot::crypto::testing
