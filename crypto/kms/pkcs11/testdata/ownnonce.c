/*
 * A PKCS #11 library over another one (S3VEIL_TEST_LIBRARY) that behaves like tokens which make the nonces of AES-GCM
 * themselves: whatever the caller proposes, C_Encrypt draws a nonce, writes it over the caller's and encrypts under it.
 * One operation at a time.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "pkcs11go.h"

static CK_FUNCTION_LIST list;
static CK_FUNCTION_LIST_PTR real;

static CK_BYTE_PTR nonce; /* of the caller; NULL where no encryption by AES-GCM is under way */
static CK_GCM_PARAMS gcm;
static CK_BYTE aad[4096];
static CK_OBJECT_HANDLE key;

static CK_RV encrypt_init(CK_SESSION_HANDLE s, CK_MECHANISM_PTR m, CK_OBJECT_HANDLE k) {
	nonce = NULL;
	if (m->mechanism != CKM_AES_GCM) {
		return real->C_EncryptInit(s, m, k);
	}
	gcm = *(CK_GCM_PARAMS *)m->pParameter;
	if (gcm.ulAADLen > sizeof aad || gcm.ulIvLen != 12) {
		return CKR_MECHANISM_PARAM_INVALID;
	}
	memcpy(aad, gcm.pAAD, gcm.ulAADLen);
	gcm.pAAD = aad;
	nonce = gcm.pIv;
	key = k;
	return CKR_OK;
}

static CK_RV encrypt(CK_SESSION_HANDLE s, CK_BYTE_PTR in, CK_ULONG n, CK_BYTE_PTR out, CK_ULONG_PTR m) {
	if (nonce != NULL) {
		CK_MECHANISM mechanism = {CKM_AES_GCM, &gcm, sizeof gcm};
		CK_RV rv;
		if (getrandom(nonce, 12, 0) != 12) {
			return CKR_GENERAL_ERROR;
		}
		gcm.pIv = nonce;
		nonce = NULL;
		if ((rv = real->C_EncryptInit(s, &mechanism, key)) != CKR_OK) {
			return rv;
		}
	}
	return real->C_Encrypt(s, in, n, out, m);
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR out) {
	void *library = dlopen(getenv("S3VEIL_TEST_LIBRARY"), RTLD_NOW);
	CK_C_GetFunctionList get = library ? (CK_C_GetFunctionList)dlsym(library, "C_GetFunctionList") : NULL;
	if (get == NULL || get(&real) != CKR_OK) {
		return CKR_GENERAL_ERROR;
	}
	list = *real;
	list.C_EncryptInit = encrypt_init;
	list.C_Encrypt = encrypt;
	*out = &list;
	return CKR_OK;
}
