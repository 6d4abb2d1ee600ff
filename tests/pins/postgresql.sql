CREATE TABLE model_registry_models (
	id SERIAL NOT NULL, 
	uuid VARCHAR(32) NOT NULL, 
	owner_id INTEGER NOT NULL, 
	model_id VARCHAR(255) NOT NULL, 
	category VARCHAR(16) NOT NULL, 
	model_provider VARCHAR(64) NOT NULL, 
	model_name VARCHAR(255) NOT NULL, 
	base_url VARCHAR(2048), 
	temperature DOUBLE PRECISION, 
	dimension INTEGER, 
	abilities JSON, 
	description VARCHAR(4096), 
	is_active BOOLEAN NOT NULL, 
	is_shared BOOLEAN NOT NULL, 
	shared_model_id VARCHAR(255), 
	version INTEGER NOT NULL, 
	created_at TIMESTAMP WITHOUT TIME ZONE NOT NULL, 
	updated_at TIMESTAMP WITHOUT TIME ZONE, 
	ciphertext BYTEA, 
	key_id VARCHAR(255), 
	credential_updated_at TIMESTAMP WITHOUT TIME ZONE, 
	credential_id INTEGER, 
	parameters JSON, 
	info JSON, 
	test_result VARCHAR(32), 
	test_latency_ms INTEGER, 
	tested_at TIMESTAMP WITHOUT TIME ZONE, 
	search_text VARCHAR(4096), 
	CONSTRAINT model_registry_pk_models PRIMARY KEY (id), 
	CONSTRAINT model_registry_fk_models_owner FOREIGN KEY(owner_id) REFERENCES "user" (id) ON DELETE CASCADE, 
	CONSTRAINT model_registry_fk_models_credential FOREIGN KEY(credential_id) REFERENCES model_registry_credentials (id) ON DELETE SET NULL, 
	CONSTRAINT model_registry_uq_models_uuid UNIQUE (uuid), 
	CONSTRAINT model_registry_uq_models_owner_model_id UNIQUE (owner_id, model_id), 
	CONSTRAINT model_registry_uq_models_shared_model_id UNIQUE (shared_model_id), 
	CONSTRAINT model_registry_ck_models_shared_model_id CHECK ((is_shared AND shared_model_id IS NOT NULL AND shared_model_id = model_id) OR (NOT is_shared AND shared_model_id IS NULL))
);

CREATE INDEX model_registry_ix_models_credential ON model_registry_models (credential_id, id);

CREATE INDEX model_registry_ix_models_key ON model_registry_models (key_id, id);

CREATE INDEX model_registry_ix_models_owner ON model_registry_models (owner_id, id, is_active, category, model_provider);

CREATE INDEX model_registry_ix_models_shared ON model_registry_models (is_shared, id, is_active, category, model_provider) WHERE is_shared = true;

CREATE TABLE model_registry_abilities (
	model_row_id INTEGER NOT NULL, 
	ability VARCHAR(64) NOT NULL, 
	CONSTRAINT model_registry_pk_abilities PRIMARY KEY (model_row_id, ability), 
	CONSTRAINT model_registry_fk_abilities_model FOREIGN KEY(model_row_id) REFERENCES model_registry_models (id) ON DELETE CASCADE
);

CREATE INDEX model_registry_ix_abilities_ability ON model_registry_abilities (ability, model_row_id);

CREATE TABLE model_registry_grants (
	id SERIAL NOT NULL, 
	model_row_id INTEGER NOT NULL, 
	user_id INTEGER, 
	group_name VARCHAR(255), 
	model_id VARCHAR(255) NOT NULL, 
	can_edit BOOLEAN NOT NULL, 
	can_delete BOOLEAN NOT NULL, 
	CONSTRAINT model_registry_pk_grants PRIMARY KEY (id), 
	CONSTRAINT model_registry_fk_grants_model FOREIGN KEY(model_row_id) REFERENCES model_registry_models (id) ON DELETE CASCADE, 
	CONSTRAINT model_registry_fk_grants_user FOREIGN KEY(user_id) REFERENCES "user" (id) ON DELETE CASCADE, 
	CONSTRAINT model_registry_ck_grants_one_grantee CHECK ((user_id IS NULL) <> (group_name IS NULL)), 
	CONSTRAINT model_registry_uq_grants_user_model UNIQUE (user_id, model_row_id), 
	CONSTRAINT model_registry_uq_grants_group_model UNIQUE (group_name, model_row_id)
);

CREATE INDEX model_registry_ix_grants_model ON model_registry_grants (model_row_id);

CREATE INDEX model_registry_ix_grants_model_id_group ON model_registry_grants (model_id, group_name, model_row_id);

CREATE INDEX model_registry_ix_grants_model_id_user ON model_registry_grants (model_id, user_id, model_row_id);

CREATE TABLE model_registry_defaults (
	user_id INTEGER NOT NULL, 
	config_type VARCHAR(32) NOT NULL, 
	model_row_id INTEGER NOT NULL, 
	CONSTRAINT model_registry_pk_defaults PRIMARY KEY (user_id, config_type), 
	CONSTRAINT model_registry_fk_defaults_user FOREIGN KEY(user_id) REFERENCES "user" (id) ON DELETE CASCADE, 
	CONSTRAINT model_registry_fk_defaults_model FOREIGN KEY(model_row_id) REFERENCES model_registry_models (id) ON DELETE CASCADE
);

CREATE INDEX model_registry_ix_defaults_model ON model_registry_defaults (model_row_id);

CREATE TABLE model_registry_app_defaults (
	config_type VARCHAR(32) NOT NULL, 
	model_row_id INTEGER NOT NULL, 
	CONSTRAINT model_registry_pk_app_defaults PRIMARY KEY (config_type), 
	CONSTRAINT model_registry_fk_app_defaults_model FOREIGN KEY(model_row_id) REFERENCES model_registry_models (id) ON DELETE CASCADE
);

CREATE INDEX model_registry_ix_app_defaults_model ON model_registry_app_defaults (model_row_id);

CREATE TABLE model_registry_credentials (
	id SERIAL NOT NULL, 
	uuid VARCHAR(32) NOT NULL, 
	owner_id INTEGER NOT NULL, 
	name VARCHAR(100) NOT NULL, 
	model_provider VARCHAR(64) NOT NULL, 
	base_url VARCHAR(2048), 
	kind VARCHAR(16) NOT NULL, 
	settings JSON NOT NULL, 
	secret_names JSON NOT NULL, 
	ciphertext BYTEA, 
	key_id VARCHAR(255), 
	expires_at TIMESTAMP WITHOUT TIME ZONE, 
	version INTEGER NOT NULL, 
	created_at TIMESTAMP WITHOUT TIME ZONE NOT NULL, 
	updated_at TIMESTAMP WITHOUT TIME ZONE, 
	secret_updated_at TIMESTAMP WITHOUT TIME ZONE NOT NULL, 
	reference VARCHAR(255), 
	CONSTRAINT model_registry_pk_credentials PRIMARY KEY (id), 
	CONSTRAINT model_registry_fk_credentials_owner FOREIGN KEY(owner_id) REFERENCES "user" (id) ON DELETE CASCADE, 
	CONSTRAINT model_registry_uq_credentials_uuid UNIQUE (uuid), 
	CONSTRAINT model_registry_uq_credentials_owner_name UNIQUE (owner_id, name), 
	CONSTRAINT model_registry_ck_credentials_one_secret CHECK (ciphertext IS NULL OR reference IS NULL)
);

CREATE INDEX model_registry_ix_credentials_key ON model_registry_credentials (key_id, id);

CREATE INDEX model_registry_ix_credentials_owner ON model_registry_credentials (owner_id, id);

