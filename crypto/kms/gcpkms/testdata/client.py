"""Google's client of Cloud KMS, over REST: opens a blob and seals its key anew, with every checksum.

usage: client.py URL KEY SERVICE-ACCOUNT CONTEXT < {"blob": BASE64} > {"key": BASE64, "blob": BASE64, "error": TEXT}
"""
import base64
import json
import sys

import google_crc32c
from google.api_core import exceptions
from google.cloud import kms_v1
from google.cloud.kms_v1.services.key_management_service.transports.rest import KeyManagementServiceRestTransport
from google.oauth2 import service_account

url, name, account, context = sys.argv[1], sys.argv[2], sys.argv[3], base64.b64decode(sys.argv[4])
blob = base64.b64decode(json.load(sys.stdin)["blob"])
credentials = service_account.Credentials.from_service_account_file(account, scopes=["https://www.googleapis.com/auth/cloudkms"])
client = kms_v1.KeyManagementServiceClient(
    transport=KeyManagementServiceRestTransport(host=url.split("//")[1], url_scheme="http", credentials=credentials))
aad = {"additional_authenticated_data": context, "additional_authenticated_data_crc32c": google_crc32c.value(context)}

opened = client.decrypt(request={"name": name, "ciphertext": blob, "ciphertext_crc32c": google_crc32c.value(blob), **aad})
assert opened.plaintext_crc32c == google_crc32c.value(opened.plaintext)
key = opened.plaintext
sealed = client.encrypt(request={"name": name, "plaintext": key, "plaintext_crc32c": google_crc32c.value(key), **aad})
assert sealed.verified_plaintext_crc32c and sealed.verified_additional_authenticated_data_crc32c
assert sealed.ciphertext_crc32c == google_crc32c.value(sealed.ciphertext)
assert sealed.name.startswith(name + "/cryptoKeyVersions/")
error = ""
try:
    client.decrypt(request={"name": name, "ciphertext": blob[:-1], **aad})
except exceptions.BadRequest as e:  # what an INVALID_ARGUMENT is over REST
    error = e.message
json.dump({"key": base64.b64encode(key).decode(), "blob": base64.b64encode(sealed.ciphertext).decode(), "error": error}, sys.stdout)
