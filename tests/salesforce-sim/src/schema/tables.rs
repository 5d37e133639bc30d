//! The objects of the support org. [`super::parse`] explains the columns.
//!
//! Flags: F filterable, S sortable, G groupable, N nillable, C createable, U updateable, L idLookup,
//! A autoNumber, D defaultedOnCreate, R restrictedPicklist, X not permissionable, M nameField, Q calculated,
//! H htmlFormatted, E externalId. Fields that are often filled come first: a stored version ends at its last
//! value, so rarely used fields at the end cost nothing.

/// Every table; parents need not come before children.
pub(super) const ALL: [&str; 13] = [
    ORGANIZATION,
    USER,
    GROUP,
    RECORD_TYPE,
    ACCOUNT,
    CONTACT,
    CASE,
    CASE_COMMENT,
    EMAIL_MESSAGE,
    CASE_HISTORY,
    TASK,
    ESCALATION,
    PROFILE,
];

const CASE: &str = "
Case | Case | Cases | 500 | create update delete undelete search feed trigger layout mru replicate casescopes
Id | Case ID | id | FSGLDX
@deleted
CaseNumber | Case Number | string(30) | FSLADXM
Status | Status | picklist | FSGNCUDX | New*,Working,Waiting on Customer,Escalated,Closed
Priority | Priority | picklist | FSGNCUD | High,Medium*,Low
Origin | Case Origin | picklist | FSGNCU | Phone,Email,Web,Chat
Subject | Subject | string(255) | FSGNCU
Description | Description | textarea(32000) | NCU
OwnerId | Owner ID | reference | FSGCUDX | Owner>Group,User
IsClosed | Closed | boolean | FSGDX
ClosedDate | Closed Date | datetime | FSN
ContactId | Contact ID | reference | FSGNCU | Contact>Contact:Cases
AccountId | Account ID | reference | FSGNCU | Account>Account:Cases
@audit
RecordTypeId | Record Type ID | reference | FSGNCU | RecordType>RecordType
Type | Case Type | picklist | FSGNCU | Question,Problem,Complaint,Feature Request
Reason | Case Reason | picklist | FSGNCU | Installation,Billing,Performance,Breakdown,Feedback,Other
IsEscalated | Escalated | boolean | FSGCUD
Product_Area__c | Product Area | picklist(255) | FSGNCU | Checkout,Accounts,Shipping,Mobile App,Reporting
Order_Number__c | Order Number | string(40) | FSGNCUE
Csat_Score__c | CSAT Score | double(3,1) | FSGNCU
Is_Vip__c | VIP | boolean | FSGCUD
Due_Date__c | Due Date | date | FSGNCU
First_Response__c | First Response | datetime | FSNCU
Tags__c | Tags | multipicklist | FNCU | refund,vip,bug,upsell,gdpr,spam
Resolution_Notes__c | Resolution Notes | textarea(32768) | NCU
SuppliedEmail | Email Address | email(80) | FSGNCU
SuppliedName | Name | string(80) | FSGNCU
Refund_Amount__c | Refund Amount | currency(16,2) | FSNCU
Handover_Html__c | Handover | textarea(32768) | NCUH
ContactPhone | Contact Phone | phone | FSGNX | | mirror=ContactId.Phone
ContactMobile | Contact Mobile | phone | FSGNX | | mirror=ContactId.MobilePhone
ContactEmail | Contact Email | email(80) | FSGNX | | mirror=ContactId.Email
ContactFax | Contact Fax | phone | FSGNX | | mirror=ContactId.Fax
Account_Name__c | Account Name | string(1300) | FSNQ | | mirror=AccountId.Name
ParentId | Parent Case ID | reference | FSGNCU | Parent>Case:Cases
MasterRecordId | Master Record ID | reference | FSGNX | MasterRecord>Case
AssetId | Asset ID | reference | FSGNCU | Asset>Asset
SuppliedPhone | Phone | string(40) | FSGNCU
SuppliedCompany | Company | string(80) | FSGNCU
Comments | Internal Comments | textarea(4000) | SNCUX
LastViewedDate | Last Viewed Date | datetime | FSNX
LastReferencedDate | Last Referenced Date | datetime | FSNX
";

const CASE_COMMENT: &str = "
CaseComment | Case Comment | Case Comments | 00a | create update delete undelete trigger replicate
Id | Case Comment ID | id | FSGLDX
ParentId | Parent ID | reference | FSGCX | Parent>Case:CaseComments!
IsPublished | Published | boolean | FSGCUDX
CommentBody | Body | textarea(4000) | FSNCUX
@audit
CreatorName | User Name | string(121) | FSGNX | | mirror=CreatedById.Name
@deleted
ConnectionReceivedId | Received Connection ID | reference | FSGNX | >PartnerNetworkConnection
ConnectionSentId | Sent Connection ID | reference | FSGNX | >PartnerNetworkConnection
";

const EMAIL_MESSAGE: &str = "
EmailMessage | Email Message | Email Messages | 02s | create update delete undelete search trigger layout replicate
Id | Email Message ID | id | FSGLDX
ParentId | Case ID | reference | FSGNCX | Parent>Case:EmailMessages!
@audit
Subject | Subject | string(3000) | FSNCU
Name | Name | string(255) | FSGLXM
FromName | From Name | string(1000) | FSNCU
FromAddress | From Address | email(1000) | FSNCU
ToAddress | To Address | string(4000) | FSNCU
TextBody | Text Body | textarea(131072) | NCU
HtmlBody | HTML Body | textarea(131072) | NCUH
Headers | Headers | textarea(32000) | NCU
Incoming | Is Incoming | boolean | FSGCDX
HasAttachment | Has Attachment | boolean | FSGDX
Status | Status | picklist | FSGCURX | 0*,1,2,3,4,5
MessageDate | Message Date | datetime | FSNCU
@deleted
MessageIdentifier | Message ID | string(765) | FSGNCUL
ThreadIdentifier | Thread ID | string(765) | FSGNCUL
RelatedToId | Related To ID | reference | FSGNCU | RelatedTo>Account,Case:Emails,Contact,Escalation__c
ReplyToEmailMessageId | Email Message ID | reference | FSGNC | ReplyToEmailMessage>EmailMessage
CcAddress | CC Address | string(4000) | FSNCU
IsExternallyVisible | Is Externally Visible | boolean | FSGDX
IsClientManaged | Is Client Managed | boolean | FSGCDX
IsTracked | Is Tracked | boolean | FSGCUDX
IsOpened | Opened? | boolean | FSGDX
IsBounced | Is Bounced | boolean | FSGCUDX
IsPrivateDraft | Is Private Draft | boolean | FSGCDX
ActivityId | Activity ID | reference | FSGNC | Activity>Task
FromId | From ID | reference | FSGNC | >Contact,User
BccAddress | BCC Address | string(4000) | FSNCU
ValidatedFromAddress | From | picklist(255) | FSGNCUR |
EmailTemplateId | Email Template ID | reference | FSGNCU | EmailTemplate>EmailTemplate
FirstOpenedDate | First Opened Date | datetime | FSNCU
LastOpenedDate | Last Opened Date | datetime | FSNCU
AutomationType | Automation Type | picklist | FSGNCR |
Source | Source | picklist | FSGNCR |
";

const CASE_HISTORY: &str = "
CaseHistory | Case History | Case History | 017 | replicate history=Case
Id | Case History ID | id | FSGLDX
@deleted
CaseId | Case ID | reference | FSGX | Case>Case:Histories!
CreatedById | Created By ID | reference | FSGDX | ~CreatedBy>User
CreatedDate | Created Date | datetime | FSDX
Field | Changed Field | picklist(255) | FSGRX | created,Status,Priority,Owner,Type,Reason,Subject,closed,ownerAssignment
DataType | Datatype | picklist | FSGNRX | Text,DynamicEnum,EntityId,Boolean,DateTime
OldValue | Old Value | anyType | NSX
NewValue | New Value | anyType | NSX
";

const CONTACT: &str = "
Contact | Contact | Contacts | 003 | create update delete undelete search feed trigger layout mru merge replicate
Id | Contact ID | id | FSGLDX
@deleted
AccountId | Account ID | reference | FSGNCU | Account>Account:Contacts
LastName | Last Name | string(80) | FSGCUX | | compound=Name
FirstName | First Name | string(40) | FSGNCUX | | compound=Name
Salutation | Salutation | picklist | FSGNCUX | Mr.,Ms.,Mrs.,Dr.,Prof. | compound=Name
Name | Full Name | string(121) | FSGXM | | compound=Name
Email | Email | email(80) | FSGNCUL
Phone | Business Phone | phone | FSGNCU
OwnerId | Owner ID | reference | FSGCUDX | Owner>User
@audit
MailingStreet | Mailing Street | textarea(255) | FSGNCU | | compound=MailingAddress
MailingCity | Mailing City | string(40) | FSGNCU | | compound=MailingAddress
MailingState | Mailing State/Province | string(80) | FSGNCU | | compound=MailingAddress
MailingPostalCode | Mailing Zip/Postal Code | string(20) | FSGNCU | | compound=MailingAddress
MailingCountry | Mailing Country | string(80) | FSGNCU | | compound=MailingAddress
MailingLatitude | Mailing Latitude | double(18,15) | FSNCU | | compound=MailingAddress
MailingLongitude | Mailing Longitude | double(18,15) | FSNCU | | compound=MailingAddress
MailingGeocodeAccuracy | Mailing Geocode Accuracy | picklist | FSGNCUR | Address,City,Zip | compound=MailingAddress
MailingAddress | Mailing Address | address | FN
MobilePhone | Mobile Phone | phone | FSGNCU
Title | Title | string(128) | FSGNCU
Department | Department | string(80) | FSGNCU
HasOptedOutOfEmail | Email Opt Out | boolean | FSGCUD
DoNotCall | Do Not Call | boolean | FSGCUD
Birthdate | Birthdate | date | FSGNCU
LeadSource | Lead Source | picklist(255) | FSGNCU | Web,Phone Inquiry,Partner Referral,Other
Language__c | Language | picklist(255) | FSGNCU | de,en,es,fr,it,ja,pl,pt,ru,tr,zh,ar
IsEmailBounced | Is Email Bounced | boolean | FSGDX
MasterRecordId | Master Record ID | reference | FSGNX | MasterRecord>Contact
RecordTypeId | Record Type ID | reference | FSGNCU | RecordType>RecordType
ReportsToId | Reports To ID | reference | FSGNCU | ReportsTo>Contact
Description | Contact Description | textarea(32000) | NCU
Fax | Business Fax | phone | FSGNCU
HomePhone | Home Phone | phone | FSGNCU
OtherPhone | Other Phone | phone | FSGNCU
OtherStreet | Other Street | textarea(255) | FSGNCU | | compound=OtherAddress
OtherCity | Other City | string(40) | FSGNCU | | compound=OtherAddress
OtherState | Other State/Province | string(80) | FSGNCU | | compound=OtherAddress
OtherPostalCode | Other Zip/Postal Code | string(20) | FSGNCU | | compound=OtherAddress
OtherCountry | Other Country | string(80) | FSGNCU | | compound=OtherAddress
OtherLatitude | Other Latitude | double(18,15) | FSNCU | | compound=OtherAddress
OtherLongitude | Other Longitude | double(18,15) | FSNCU | | compound=OtherAddress
OtherGeocodeAccuracy | Other Geocode Accuracy | picklist | FSGNCUR | Address,City,Zip | compound=OtherAddress
OtherAddress | Other Address | address | FN
AssistantName | Assistant's Name | string(40) | FSGNCU
AssistantPhone | Asst. Phone | phone | FSGNCU
EmailBouncedReason | Email Bounced Reason | string(255) | FSGNCUX
EmailBouncedDate | Email Bounced Date | datetime | FSNCUX
LastActivityDate | Last Activity | date | FSGNX
LastViewedDate | Last Viewed Date | datetime | FSNX
LastReferencedDate | Last Referenced Date | datetime | FSNX
PhotoUrl | Photo URL | url | FSGNX
Jigsaw | Data.com Key | string(20) | FSGNCU
";

const ACCOUNT: &str = "
Account | Account | Accounts | 001 | create update delete undelete search feed trigger layout mru merge replicate
Id | Account ID | id | FSGLDX
@deleted
Name | Account Name | string(255) | FSGCUXM
Type | Account Type | picklist(255) | FSGNCU | Customer,Prospect,Partner
Industry | Industry | picklist(255) | FSGNCU | Retail,Banking,Energy,Healthcare,Technology
OwnerId | Owner ID | reference | FSGCUDX | Owner>User
@audit
BillingCity | Billing City | string(40) | FSGNCU | | compound=BillingAddress
BillingCountry | Billing Country | string(80) | FSGNCU | | compound=BillingAddress
Phone | Account Phone | phone | FSGNCU
Website | Website | url | FSGNCU
AnnualRevenue | Annual Revenue | currency(18,0) | FSNCU
NumberOfEmployees | Employees | int | FSGNCU
MasterRecordId | Master Record ID | reference | FSGNX | MasterRecord>Account
ParentId | Parent Account ID | reference | FSGNCU | Parent>Account:ChildAccounts
BillingStreet | Billing Street | textarea(255) | FSGNCU | | compound=BillingAddress
BillingState | Billing State/Province | string(80) | FSGNCU | | compound=BillingAddress
BillingPostalCode | Billing Zip/Postal Code | string(20) | FSGNCU | | compound=BillingAddress
BillingLatitude | Billing Latitude | double(18,15) | FSNCU | | compound=BillingAddress
BillingLongitude | Billing Longitude | double(18,15) | FSNCU | | compound=BillingAddress
BillingGeocodeAccuracy | Billing Geocode Accuracy | picklist | FSGNCUR | Address,City,Zip | compound=BillingAddress
BillingAddress | Billing Address | address | FN
Description | Account Description | textarea(32000) | NCU
AccountNumber | Account Number | string(40) | FSGNCU
";

const USER: &str = "
User | User | Users | 005 | create update search feed trigger layout mru replicate
Id | User ID | id | FSGLDX
Username | Username | string(80) | FSGCULX
LastName | Last Name | string(80) | FSGCUX | | compound=Name
FirstName | First Name | string(40) | FSGNCUX | | compound=Name
Name | Full Name | string(121) | FSGXM | | compound=Name
Email | Email | email(128) | FSGCULX
Alias | Alias | string(8) | FSGCUX
CommunityNickname | Nickname | string(40) | FSGCUX
IsActive | Active | boolean | FSGCUDX
TimeZoneSidKey | Time Zone | picklist | FSGCURX | Europe/Berlin,America/New_York,Asia/Tokyo,UTC
LocaleSidKey | Locale | picklist | FSGCURX | en_US,de_DE,fr_FR,ja_JP
EmailEncodingKey | Email Encoding | picklist | FSGCURX | UTF-8,ISO-8859-1
ProfileId | Profile ID | reference | FSGCUX | Profile>Profile
UserType | User Type | picklist | FSGNRX | Standard,CloudIntegrationUser,AutomatedProcess,Guest
LanguageLocaleKey | Language | picklist | FSGCURX | en_US,de,fr,ja
Department | Department | string(80) | FSGNCU
Title | Title | string(80) | FSGNCU
CompanyName | Company Name | string(80) | FSGNCU
EmployeeNumber | Employee Number | string(20) | FSGNCU
@audit
ManagerId | Manager ID | reference | FSGNCU | Manager>User
LastLoginDate | Last Login | datetime | FSNX
UserRoleId | Role ID | reference | FSGNCUX | UserRole>UserRole
Division | Division | string(80) | FSGNCU
Phone | Phone | phone | FSGNCU
MobilePhone | Mobile | phone | FSGNCU
Street | Street | textarea(255) | FSGNCU | | compound=Address
City | City | string(40) | FSGNCU | | compound=Address
State | State/Province | string(80) | FSGNCU | | compound=Address
PostalCode | Zip/Postal Code | string(20) | FSGNCU | | compound=Address
Country | Country | string(80) | FSGNCU | | compound=Address
Latitude | Latitude | double(18,15) | FSNCU | | compound=Address
Longitude | Longitude | double(18,15) | FSNCU | | compound=Address
GeocodeAccuracy | Geocode Accuracy | picklist | FSGNCUR | Address,City,Zip | compound=Address
Address | Address | address | FN
FederationIdentifier | SAML Federation ID | string(512) | FSNCUL
AboutMe | About Me | textarea(1000) | FSNCU
Signature | Email Signature | textarea(1333) | FSNCU
BadgeText | User Photo badge text overlay | string(80) | FSGNX
ContactId | Contact ID | reference | FSGNCUX | Contact>Contact
AccountId | Account ID | reference | FSGNX | Account>Account
";

const GROUP: &str = "
Group | Group | Group | 00G | create update delete replicate
Id | Group ID | id | FSGLDX
Name | Name | string(40) | FSGCULXM
DeveloperName | Developer Name | string(80) | FSGNCUX
Type | Type | picklist | FSGNCRX | Queue,Regular,Role
Email | Queue Email | email(255) | FSGNCUX
DoesSendEmailToMembers | Send Email to Members | boolean | FSGCUDX
DoesIncludeBosses | Include Bosses | boolean | FSGCUDX
@audit
RelatedId | Related ID | reference | FSGNX | Related>User
OwnerId | Owner ID | reference | FSGNCUX | Owner>Organization,User
";

const TASK: &str = "
Task | Task | Tasks | 00T | create update delete undelete search feed trigger layout mru replicate
Id | Activity ID | id | FSGLDX
WhoId | Name ID | reference | FSGNCU | Who>Contact:Tasks,Lead
WhatId | Related To ID | reference | FSGNCU | What>Account:Tasks,Case:Tasks,Escalation__c:Tasks
Subject | Subject | combobox | FSNCU | Call,Email,Send Letter,Other
ActivityDate | Due Date Only | date | FSGNCU
Status | Status | picklist(255) | FSGCUDX | Not Started*,In Progress,Completed,Waiting on someone else
Priority | Priority | picklist(20) | FSGCUDX | High,Normal*,Low
IsHighPriority | High Priority | boolean | FSGDX
OwnerId | Assigned To ID | reference | FSGCUDX | Owner>Group,User
Description | Description | textarea(32000) | NCU
@deleted
IsClosed | Closed | boolean | FSGDX
@audit
IsArchived | Archived | boolean | FSGDX
TaskSubtype | Task Subtype | picklist | FSGNCRX | Task*,Email,Call
AccountId | Account ID | reference | FSGNX | Account>Account
CallDurationInSeconds | Call Duration | int | FSGNCU
CallType | Call Type | picklist | FSGNCUR | Internal,Inbound,Outbound
CompletedDateTime | Completed Date/Time | datetime | FSNX
CallDisposition | Call Result | string(255) | FSGNCU
CallObject | Call Object Identifier | string(255) | FSGNCU
ReminderDateTime | Reminder Date/Time | datetime | FSNCUX
IsReminderSet | Reminder Set | boolean | FSGCUDX
IsRecurrence | Create Recurring Series of Tasks | boolean | FSGCDX
Type | Type | picklist(255) | FSGNCU | Call,Meeting,Other
";

const RECORD_TYPE: &str = "
RecordType | Record Type | Record Types | 012 | create update replicate
Id | Record Type ID | id | FSGLDX
Name | Name | string(80) | FSGCULXM
DeveloperName | Record Type Name | string(80) | FSGCUX
NamespacePrefix | Namespace Prefix | string(15) | FSGNX
Description | Description | string(255) | FSGNCUX
BusinessProcessId | Business Process ID | reference | FSGNCUX | BusinessProcess>BusinessProcess
SobjectType | SObject Type Name | picklist | FSGCRX | Case,Contact,Escalation__c
IsActive | Active | boolean | FSGUDX
IsPersonType | Is Person Type | boolean | FSGDX
@audit
";

const ORGANIZATION: &str = "
Organization | Organization | Organizations | 00D | update replicate
Id | Organization ID | id | FSGLDX
Name | Name | string(80) | FSGUXM
Country | Country | string(80) | FSGNUX | | compound=Address
PrimaryContact | Primary Contact | string(80) | FSGNUX
DefaultLocaleSidKey | Locale | picklist | FSGURX | en_US
TimeZoneSidKey | Time Zone | picklist | FSGURX | Europe/Berlin,UTC
LanguageLocaleKey | Language | picklist | FSGURX | en_US
FiscalYearStartMonth | Fiscal Year Starts In | int | FSGNUX
OrganizationType | Edition | picklist | FSGNRX | Enterprise Edition,Developer Edition
InstanceName | Instance Name | string(5) | FSGNX
IsSandbox | Is Sandbox | boolean | FSGDX
IsReadOnly | Is Read Only | boolean | FSGDX
@audit
NamespacePrefix | Namespace Prefix | string(15) | FSGNX
TrialExpirationDate | Trial Expiration Date | datetime | FSNX
Division | Division | string(80) | FSGNUX
Street | Street | textarea(255) | FSGNUX | | compound=Address
City | City | string(40) | FSGNUX | | compound=Address
State | State/Province | string(80) | FSGNUX | | compound=Address
PostalCode | Zip/Postal Code | string(20) | FSGNUX | | compound=Address
Latitude | Latitude | double(18,15) | FSNUX | | compound=Address
Longitude | Longitude | double(18,15) | FSNUX | | compound=Address
GeocodeAccuracy | Geocode Accuracy | picklist | FSGNURX | Address,City,Zip | compound=Address
Address | Address | address | FNX
Phone | Phone | phone | FSGNUX
Fax | Fax | phone | FSGNUX
";

const ESCALATION: &str = "
Escalation__c | Escalation | Escalations | a00 | create update delete undelete search trigger layout mru replicate
Id | Record ID | id | FSGLDX
OwnerId | Owner ID | reference | FSGCUDX | Owner>Group,User
@deleted
Name | Escalation Number | string(80) | FSGLADXM
@audit
Case__c | Case | reference | FSGNCU | Case__r>Case:Escalations__r
Severity__c | Severity | picklist(255) | FSGNCU | S1,S2,S3
Reason__c | Reason | textarea(32768) | NCU
Cost__c | Cost | currency(16,2) | FSNCU
Occurred_At__c | Occurred At | datetime | FSNCU
Acknowledged__c | Acknowledged | boolean | FSGCUD
Postmortem__c | Postmortem | textarea(131072) | NCUH
";

const PROFILE: &str = "
Profile | Profile | Profile | 00e | replicate
Id | Profile ID | id | FSGLDX
Name | Name | string(255) | FSGLXM
UserType | User Type | picklist | FSGNRX | Standard
Description | Description | string(255) | FSNX
@audit
";
