//! What the names of columns say.

use super::column::{Context, Family};

/// What a name says a column holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// The category's key.
    pub(super) key: &'static str,
    /// Phrases, separated by commas, of which one must stand in the name, its words in a row.
    pub(super) phrases: &'static str,
    /// The types such a column can have.
    pub(super) types: &'static [Family],
    /// The tables where the name means that: in a list of tracks a `name` is nobody's.
    pub(super) least: Context,
}

const TEXT: &[Family] = &[Family::Text, Family::Unknown, Family::Json];
const NUMBER: &[Family] = &[Family::Text, Family::Unknown, Family::Number];
const DATE: &[Family] = &[Family::Text, Family::Unknown, Family::Date];
const ANY: &[Family] = &[
    Family::Text,
    Family::Unknown,
    Family::Json,
    Family::Number,
    Family::Date,
    Family::Net,
    Family::Uuid,
    Family::Bytes,
    Family::Place,
];

const fn rule(
    key: &'static str,
    types: &'static [Family],
    least: Context,
    phrases: &'static str,
) -> Rule {
    Rule { key, phrases, types, least }
}

/// Last words that make a column say something *about* a datum instead of holding it.
pub(super) const ABOUT: &[&str] = &[
    "at",
    "by",
    "count",
    "counter",
    "enabled",
    "confirmed",
    "verified",
    "sent",
    "status",
    "type",
    "kind",
    "id",
    "ids",
    "on",
    "flag",
    "visible",
    "visibility",
    "notifications",
    "notification",
    "digest",
    "format",
    "length",
    "valid",
    "validated",
    "token",
    "frequency",
    "level",
    "public",
    "md5",
    "index",
    "order",
    "position",
    "source",
    "template",
    "subject",
    "key",
];

/// The first that fits decides.
pub(super) const RULES: &[Rule] = &[
    rule(
        "user.authorization.password",
        ANY,
        Context::Other,
        "password, passwd, pwd, passhash, passphrase, pass hash, pass crypt, pass salt, \
         password digest, password hash, encrypted password, crypted password, hashed \
         password, mot de passe, kennwort, passwort, contrasena, senha, salt",
    ),
    rule(
        "user.authorization.credentials",
        ANY,
        Context::Other,
        "otp, totp, otp secret, api key, apikey, secret, access token, refresh token, auth \
         token, authentication token, session token, reset password token, reset token, \
         confirmation token, remember token, oauth token, private key, second factor, pin \
         code, recovery codes, backup codes, rss token, mailing list token, unlock token, \
         token, session key",
    ),
    rule("user.device.cookie_id", ANY, Context::Other, "cookie id"),
    rule("user.device.cookie", ANY, Context::Other, "cookie, cookies"),
    rule(
        "user.device.ip_address",
        ANY,
        Context::Other,
        "ip, ip address, ipaddr, ipv4, ipv6, remote addr, remote address, client ip, adresse \
         ip, direccion ip",
    ),
    rule(
        "user.device.device_id",
        ANY,
        Context::Other,
        "device id, device uuid, device token, udid, imei, idfa, idfv, gaid, advertising id, \
         android id, mac address, push token, installation id",
    ),
    rule("user.device", ANY, Context::Other, "user agent, useragent, device model, browser"),
    rule(
        "user.contact.email",
        TEXT,
        Context::Other,
        "email, e mail, mail, emailaddress, courriel, correo, mail address, email address, \
         correo electronico, epost",
    ),
    rule("user.contact.fax_number", NUMBER, Context::Other, "fax, fax number, telefax"),
    rule(
        "user.contact.phone_number",
        NUMBER,
        Context::Other,
        "phone, phone number, telephone, tel, mobile, mobile number, cell, cell phone, \
         cellphone, msisdn, telefon, handy, telefono, telefone, celular, telephone number, \
         phonenumber, movil, cellulare, telefoon, puhelin, whatsapp",
    ),
    rule(
        "user.name.first",
        TEXT,
        Context::Other,
        "first name, firstname, given name, givenname, forename, vorname, prenom, nombre, \
         primeiro nome, voornaam, fornamn, etunimi, imie, fname, middle name",
    ),
    rule(
        "user.name.last",
        TEXT,
        Context::Other,
        "last name, lastname, surname, family name, familyname, nachname, nom de famille, \
         apellido, apellidos, cognome, sobrenome, apelido, achternaam, efternamn, sukunimi, \
         nazwisko, lname",
    ),
    rule(
        "user.account.username",
        TEXT,
        Context::Other,
        "username, user name, login, login name, nickname, nick, screen name, handle, \
         benutzername, nom utilisateur, usuario, username lower",
    ),
    rule(
        "user.name",
        TEXT,
        Context::Other,
        "full name, fullname, display name, real name, contact name, customer name, recipient \
         name, cardholder, card holder, account holder, maiden name",
    ),
    rule(
        "user.demographic.date_of_birth",
        DATE,
        Context::Other,
        "birth date, birthdate, date of birth, dob, birthday, birth day, born on, born, \
         geburtsdatum, geburtstag, date de naissance, naissance, data di nascita, fecha de \
         nacimiento, nacimiento, data de nascimento, nascimento, geboortedatum, fodelsedatum, \
         birth",
    ),
    rule(
        "user.demographic.age_range",
        NUMBER,
        Context::Owned,
        "age, age range, age group, birth year, year of birth, alter, edad, eta",
    ),
    rule(
        "user.demographic.gender",
        ANY,
        Context::Owned,
        "gender, sex, geschlecht, sexe, genero, sesso, pronouns, salutation, anrede",
    ),
    rule(
        "user.demographic.marital_status",
        ANY,
        Context::Owned,
        "marital status, marital, familienstand, estado civil",
    ),
    rule("user.demographic.religious_belief", ANY, Context::Owned, "religion, religious"),
    rule("user.demographic.race_ethnicity", ANY, Context::Owned, "race, ethnicity, ethnic"),
    rule(
        "user.demographic.political_opinion",
        ANY,
        Context::Owned,
        "political, political opinion, political party",
    ),
    rule(
        "user.demographic.sexual_orientation",
        ANY,
        Context::Owned,
        "sexual orientation, orientation sexuelle",
    ),
    rule(
        "user.demographic.language",
        TEXT,
        Context::Owned,
        "language, languages, locale, lang, sprache, langue, idioma",
    ),
    rule(
        "user.government_id.passport_number",
        NUMBER,
        Context::Other,
        "passport, passport number, passport no, reisepass, passeport",
    ),
    rule(
        "user.government_id.drivers_license_number",
        NUMBER,
        Context::Other,
        "drivers license, driver license, driving licence, fuhrerschein, license number",
    ),
    rule(
        "user.government_id.vehicle_registration",
        NUMBER,
        Context::Owned,
        "license plate, number plate, vehicle registration, kennzeichen",
    ),
    rule(
        "user.government_id.national_identification_number",
        NUMBER,
        Context::Other,
        "national id, national identity, ssn, social security, social security number, nino, \
         national insurance number, nir, numero secu, dni, codice fiscale, steuer id, \
         steueridentifikationsnummer, tax id, tax number, taxpayer id, pesel, personnummer, \
         hetu, henkilotunnus, bsn, rijksregisternummer, nif, nhs number, personal identity \
         code, personal id number, national identification number, identity number, id \
         number, cpf",
    ),
    rule(
        "user.financial.bank_account",
        NUMBER,
        Context::Other,
        "iban, bic, swift, bank account, account number, sort code, routing number, \
         kontonummer, compte bancaire",
    ),
    rule(
        "user.financial.credit_card",
        NUMBER,
        Context::Other,
        "card number, credit card, creditcard, cc number, card last4, last4, card last 4, \
         last 4, last digits, cc type, card brand",
    ),
    rule(
        "user.financial",
        ANY,
        Context::Owned,
        "salary, income, credit limit, credit score, account balance, balance",
    ),
    rule(
        "user.contact.address.postal_code",
        NUMBER,
        Context::Owned,
        "postal code, postcode, post code, postalcode, zip, zip code, zipcode, plz, code \
         postal, cap, codigo postal, cep, postleitzahl, postnummer",
    ),
    rule(
        "user.contact.address.city",
        TEXT,
        Context::Owned,
        "city, town, locality, ville, stadt, wohnort, ciudad, cidade, citta, stad, kaupunki, \
         miasto",
    ),
    rule(
        "user.contact.address.state",
        TEXT,
        Context::Owned,
        "state, state name, province, region, county, bundesland, provincia, estado",
    ),
    rule(
        "user.contact.address.country",
        TEXT,
        Context::Owned,
        "country, country code, country name, countrycode, land, pays, pais, paese, nation, \
         nazione, staat",
    ),
    rule(
        "user.contact.address.street",
        TEXT,
        Context::Owned,
        "street, street address, address line, address1, address2, address 1, address 2, \
         line1, line2, strasse, rue, calle, via, rua, straat, gata, house number, street1, \
         street2, addr1, addr2, adresse, direccion, address, addr, indirizzo, endereco, adres",
    ),
    rule(
        "user.contact.organization",
        TEXT,
        Context::Owned,
        "company, company name, organization, organisation, employer, firma, entreprise, \
         empresa, azienda",
    ),
    rule(
        "user.content.self_image",
        ANY,
        Context::Owned,
        "avatar, photo, picture, portrait, selfie, profile image, profile picture, avatar \
         url, image url, avatar file name, header file name",
    ),
    rule(
        "user.contact.url",
        TEXT,
        Context::Person,
        "website, homepage, home page, web site, url, blog",
    ),
    rule(
        "user.job_title",
        TEXT,
        Context::Person,
        "job title, jobtitle, title, occupation, profession, beruf",
    ),
    rule(
        "user.location.precise",
        ANY,
        Context::Owned,
        "latitude, longitude, lat, lon, lng, coordinates, gps, geo point, home lat, home lon, \
         latlng",
    ),
    rule(
        "user.location.imprecise",
        ANY,
        Context::Owned,
        "location, time zone, timezone, home tile, geohash",
    ),
    rule("user.biometric.face", ANY, Context::Other, "face embedding, faceprint, face template"),
    rule("user.biometric.fingerprint", ANY, Context::Person, "fingerprint"),
    rule("user.biometric.voice", ANY, Context::Other, "voiceprint, voice sample"),
    rule(
        "user.biometric.keystroke_dynamics",
        ANY,
        Context::Other,
        "keystroke, keystrokes, typing pattern, keystroke dynamics",
    ),
    rule(
        "user.health_and_medical",
        ANY,
        Context::Owned,
        "diagnosis, blood type, blood group, disability, allergies, medication, medical \
         history, health insurance",
    ),
    rule("user.criminal_history", ANY, Context::Owned, "criminal record, convictions"),
    rule("user.behavior.search_history", ANY, Context::Owned, "search query, search term"),
    rule(
        "user.behavior.browsing_history",
        ANY,
        Context::Owned,
        "referrer, referer, landing page, visited url",
    ),
    rule(
        "user.privacy_preferences",
        ANY,
        Context::Owned,
        "consent, privacy settings, marketing consent, gdpr consent",
    ),
    rule("user.account.settings", ANY, Context::Owned, "settings, preferences"),
    rule("user.content.private", TEXT, Context::Owned, "message, message body, private note"),
    rule(
        "user.demographic.profile",
        TEXT,
        Context::Person,
        "bio, about, about me, biography, description, note",
    ),
    rule(
        "user.content",
        TEXT,
        Context::Owned,
        "body, content, comment, text, raw, cooked, review, caption, markeddown",
    ),
    rule("user.name", TEXT, Context::Person, "name, nom, nome, naam, namn, nimi"),
];
